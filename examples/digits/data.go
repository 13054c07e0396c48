// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"

	"gonum.org/v1/gonum/mat"
)

// digitsCSV holds 1797 scans of handwritten digits, one a line: 8×8 pixels row
// by row, each a whole number from 0 (paper) to 16 (ink), then the digit.
//
// It is the test part of E. Alpaydin and C. Kaynak (1998), Optical Recognition
// of Handwritten Digits, UCI Machine Learning Repository,
// https://doi.org/10.24432/C50P49, licensed CC BY 4.0.
//
//go:embed digits.csv.gz
var digitsCSV []byte

const attribution = "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI, CC BY 4.0"

const (
	side      = 8           // pixels along an edge of a scan
	features  = side * side // pixels of a scan
	classes   = 10          // digits 0 to 9
	ink       = 16          // value of the darkest pixel in the file
	trainRows = 1437        // the rows after these are the test set
)

// dataset is a number of scans and the digits that they show.
type dataset struct {
	pixels *mat.Dense // one scan a row, 0 for paper and 1 for ink
	labels []int      // the digit of each row
}

// load returns the embedded scans, split into a training and a test set.
func load() (train, test dataset, err error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(digitsCSV))
	if err != nil {
		return dataset{}, dataset{}, fmt.Errorf("digits.csv.gz: %w", err)
	}
	all, err := readCSV(unzipped)
	if err != nil {
		return dataset{}, dataset{}, fmt.Errorf("digits.csv.gz: %w", err)
	}
	if rows := len(all.labels); rows <= trainRows {
		return dataset{}, dataset{}, fmt.Errorf("digits.csv.gz: %d rows leave none for testing", rows)
	}
	return all.rows(0, trainRows), all.rows(trainRows, len(all.labels)), nil
}

// rows returns the rows from up to, but not including, to. They share the
// memory of d.
func (d dataset) rows(from, to int) dataset {
	return dataset{
		pixels: d.pixels.Slice(from, to, 0, features).(*mat.Dense),
		labels: d.labels[from:to],
	}
}

// readCSV reads scans in the form of digitsCSV. Its errors name the line.
func readCSV(r io.Reader) (dataset, error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = features + 1
	reader.ReuseRecord = true

	var pixels []float64
	var labels []int
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return dataset{}, err // a csv.ParseError names the line
		}
		for i, field := range record {
			largest := ink
			if i == features {
				largest = classes - 1
			}
			value, err := strconv.Atoi(field)
			if err != nil || value < 0 || value > largest {
				line, column := reader.FieldPos(i)
				return dataset{}, fmt.Errorf("line %d, column %d: %q is not a whole number from 0 to %d", line, column, field, largest)
			}
			if i == features {
				labels = append(labels, value)
			} else {
				pixels = append(pixels, float64(value)/ink)
			}
		}
	}
	if len(labels) == 0 {
		return dataset{}, errors.New("no rows")
	}
	return dataset{pixels: mat.NewDense(len(labels), features, pixels), labels: labels}, nil
}
