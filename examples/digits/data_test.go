// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"math"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	train, test, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(train.labels); got != 1437 {
		t.Errorf("%d training rows, want 1437", got)
	}
	if got := len(test.labels); got != 360 {
		t.Errorf("%d test rows, want 360", got)
	}

	var counts [classes]int
	for _, part := range []dataset{train, test} {
		rows, columns := part.pixels.Dims()
		if rows != len(part.labels) || columns != 64 {
			t.Fatalf("%d labels with %d×%d pixels", len(part.labels), rows, columns)
		}
		for i, label := range part.labels {
			counts[label]++
			for j, pixel := range part.pixels.RawRowView(i) {
				if grey := 16 * pixel; grey != math.Trunc(grey) || grey < 0 || grey > 16 {
					t.Fatalf("row %d, pixel %d: %v/16", i, j, grey)
				}
			}
		}
	}
	// From the data's own documentation, optdigits.names.
	if want := [classes]int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}; counts != want {
		t.Errorf("scans of each digit: %v, want %v", counts, want)
	}
}

// TestLoadKeepsOrder compares the first row with the file's first line, read by
// eye: a round 0.
func TestLoadKeepsOrder(t *testing.T) {
	train, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	want := [side][side]float64{
		{0, 0, 5, 13, 9, 1, 0, 0},
		{0, 0, 13, 15, 10, 15, 5, 0},
		{0, 3, 15, 2, 0, 11, 8, 0},
		{0, 4, 12, 0, 0, 8, 8, 0},
		{0, 5, 8, 0, 0, 9, 8, 0},
		{0, 4, 11, 0, 1, 12, 7, 0},
		{0, 2, 14, 5, 10, 12, 0, 0},
		{0, 0, 6, 13, 10, 0, 0, 0},
	}
	if train.labels[0] != 0 {
		t.Errorf("the first scan is of a %d, want 0", train.labels[0])
	}
	for y, line := range want {
		for x, grey := range line {
			if got := train.pixels.At(0, y*side+x); got != grey/16 {
				t.Errorf("pixel at row %d, column %d: %v, want %v/16", y, x, got, grey)
			}
		}
	}
}

func TestReadCSVErrors(t *testing.T) {
	line := func(pixel, label string) string {
		return strings.Repeat("16,", features-1) + pixel + "," + label + "\n"
	}
	good := line("0", "9")
	if _, err := readCSV(strings.NewReader(good + good)); err != nil {
		t.Fatalf("good lines: %v", err)
	}
	for _, test := range []struct {
		name, text string
		want       string
	}{
		{"a field missing", good + good + "1,2,3\n", "line 3"},
		{"a field too many", good + strings.TrimSpace(good) + ",1\n", "line 2"},
		{"a word", good + line("ink", "9"), `line 2, column 190: "ink"`},
		{"a fraction", line("0.5", "9"), `line 1, column 190: "0.5"`},
		{"too dark", line("17", "9"), `"17" is not a whole number from 0 to 16`},
		{"below paper", line("-1", "9"), `"-1" is not a whole number from 0 to 16`},
		{"no such digit", good + good + good + line("0", "10"), `line 4, column 192: "10" is not a whole number from 0 to 9`},
		{"no digit", line("0", ""), `line 1, column 192: ""`},
		{"a quote left open", good + `"1,2`, "line 2"},
		{"nothing", "", "no rows"},
	} {
		_, err := readCSV(strings.NewReader(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}
