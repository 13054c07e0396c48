// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Results is what one run measured. Tables and pictures are made of it alone.
type Results struct {
	Date    string
	Quick   bool // a short pass over fewer shapes, for trying things out
	Machine Machine
	Peers   []Peer
	Speed   []Timing
	Errors  []SampleError
	Gaps    []GapError
	Hard    []HardRow
}

// Timing is the time of one operation of one peer, in nanoseconds per element
// of the matrix of logits, over all samples.
type Timing struct {
	Op                         Op
	Rows, Cols, Threads        int
	Peer                       string
	Samples                    int
	Min, P10, Median, P90, Max float64
}

// find returns the timing of a peer, or nil.
func (r *Results) find(op Op, s Shape, threads int, peer string) *Timing {
	for i, t := range r.Speed {
		if t.Op == op && t.Rows == s.Rows && t.Cols == s.Cols && t.Threads == threads && t.Peer == peer {
			return &r.Speed[i]
		}
	}
	return nil
}

// shapes returns the shapes that were timed, in order.
func (r *Results) shapes() []Shape {
	var shapes []Shape
	seen := make(map[Shape]bool)
	for _, t := range r.Speed {
		if s := (Shape{t.Rows, t.Cols}); !seen[s] {
			seen[s] = true
			shapes = append(shapes, s)
		}
	}
	return shapes
}

func readResults(path string) (*Results, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// write writes the results as JSON with one measurement a line, so that they
// can be read and compared by line.
func (r *Results) write(path string) error {
	var b bytes.Buffer
	head := func(name string, v any) {
		j, _ := json.Marshal(v) // nothing here fails to marshal
		fmt.Fprintf(&b, "\t%q: %s,\n", name, j)
	}
	b.WriteString("{\n")
	head("Date", r.Date)
	head("Quick", r.Quick)
	head("Machine", r.Machine)
	list(&b, "Peers", r.Peers, ",")
	list(&b, "Speed", r.Speed, ",")
	list(&b, "Errors", r.Errors, ",")
	list(&b, "Gaps", r.Gaps, ",")
	list(&b, "Hard", r.Hard, "")
	b.WriteString("}\n")
	return os.WriteFile(path, b.Bytes(), 0o644)
}

func list[T any](b *bytes.Buffer, name string, items []T, end string) {
	fmt.Fprintf(b, "\t%q: [", name)
	for i, v := range items {
		j, _ := json.Marshal(v)
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "\n\t\t%s", j)
	}
	fmt.Fprintf(b, "\n\t]%s\n", end)
}
