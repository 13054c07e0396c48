// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"example.org/logsoftmax/bench/internal/sweep"
)

// resultsFile is where the committed results are.
const resultsFile = "bench/results.json"

// Results is what one run measured. Tables and pictures are made of it alone.
type Results struct {
	Date    string
	Quick   bool // a short pass over fewer shapes, for trying things out
	Machine Machine
	Peers   []Peer
	Speed   []Timing
	Memory  []Memory
	Errors  []SampleError
	Zeros   []ZeroLoss
	Gaps    []GapError
	Hard    []HardRow
	Sweep   []SweepRow
}

// SweepRow is the cells of one job in one layout and size, by width.
type SweepRow struct {
	Job        string
	Layout     sweep.Layout
	Size       int
	Rows, Cols []int
	Ours, Loop []float64
}

// sweepRows puts cells into rows.
func sweepRows(cells []sweep.Cell) []SweepRow {
	var rows []SweepRow
	for _, c := range cells {
		i := slices.IndexFunc(rows, func(r SweepRow) bool {
			return r.Job == c.Job && r.Layout == c.Layout && r.Size == c.Size
		})
		if i < 0 {
			i = len(rows)
			rows = append(rows, SweepRow{Job: c.Job, Layout: c.Layout, Size: c.Size})
		}
		r := &rows[i]
		r.Rows, r.Cols = append(r.Rows, c.Rows), append(r.Cols, c.Cols)
		r.Ours, r.Loop = append(r.Ours, c.Ours), append(r.Loop, c.Loop)
	}
	return rows
}

// cells returns the cells of the sweep.
func (r *Results) cells() []sweep.Cell {
	var cells []sweep.Cell
	for _, row := range r.Sweep {
		for i := range row.Cols {
			cells = append(cells, sweep.Cell{
				Job: row.Job, Layout: row.Layout, Size: row.Size,
				Rows: row.Rows[i], Cols: row.Cols[i], Ours: row.Ours[i], Loop: row.Loop[i],
			})
		}
	}
	return cells
}

// Timing is the time of one operation of one peer, in nanoseconds per element
// of the matrix of logits, over all samples.
type Timing struct {
	Op Op
	Shape
	Threads                    int
	Peer                       string
	Samples                    int
	Min, P10, Median, P90, Max float64
}

// find returns the timing of a peer, or nil.
func (r *Results) find(op Op, s Shape, threads int, peer string) *Timing {
	for i, t := range r.Speed {
		if t.Op == op && t.Shape == s && t.Threads == threads && t.Peer == peer {
			return &r.Speed[i]
		}
	}
	return nil
}

// shapes returns the shapes on which op was timed with so many threads, in order.
func (r *Results) shapes(op Op, threads int) []Shape {
	var shapes []Shape
	for _, t := range r.Speed {
		if t.Op == op && t.Threads == threads && !slices.Contains(shapes, t.Shape) {
			shapes = append(shapes, t.Shape)
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
	list(&b, "Memory", r.Memory, ",")
	list(&b, "Errors", r.Errors, ",")
	list(&b, "Zeros", r.Zeros, ",")
	list(&b, "Gaps", r.Gaps, ",")
	list(&b, "Hard", r.Hard, ",")
	list(&b, "Sweep", r.Sweep, "")
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
