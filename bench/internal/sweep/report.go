// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package sweep

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// The aims. A cell that misses one is a finding.
const (
	PlainFloor   = 6.0 // times as fast as the loop
	OptionFloor  = 5.0
	SmallFloor   = 1.0
	LayoutCost   = 2.0 // times the dense call
	Step         = 1.3 // from one width to the next, from StepFrom on
	StepFrom     = 8
	ThreadsFloor = 0.9 // of what goroutines gain that do nothing but count
)

// Floor is how many times as fast as its loop a cell should be.
func (c *Cell) Floor() float64 {
	switch j := find(c.Job); {
	case c.Size == Small, j.Kind == Reading, c.Layout == Foreign:
		return SmallFloor
	case j.Kind == Optioned:
		return OptionFloor
	}
	return PlainFloor
}

// find returns the job of that name.
func find(name string) *Job {
	for i := range Jobs {
		if Jobs[i].Name == name {
			return &Jobs[i]
		}
	}
	panic("sweep: no job " + name)
}

// neighbours reports whether b comes next to a in Widths.
func neighbours(a, b int) bool {
	i := slices.Index(Widths, a)
	return i >= 0 && i+1 < len(Widths) && Widths[i+1] == b
}

// Finding is a cell that misses an aim.
type Finding struct {
	Cell Cell
	What string
	Miss float64 // how many times the aim is missed by
}

// Findings returns what misses an aim, by aim, the worst first.
func Findings(cells []Cell) [][]Finding {
	type key struct {
		job              string
		layout           Layout
		size, rows, cols int
	}
	byKey := make(map[key]*Cell)
	at := func(c *Cell) key { return key{c.Job, c.Layout, c.Size, c.Rows, c.Cols} }
	for i := range cells {
		byKey[at(&cells[i])] = &cells[i]
	}
	var floor, option, layout, step, threads []Finding
	last := make(map[key]*Cell)
	for i := range cells {
		c := &cells[i]
		if f := c.Floor(); c.Ratio() < f {
			floor = append(floor, Finding{*c, fmt.Sprintf("%.2f ns, loop %.2f: %.2f times, floor %g", c.Ours, c.Loop, c.Ratio(), f), f / c.Ratio()})
		}
		if j := find(c.Job); j.Of != "" && c.Size != Small && c.Layout != Foreign {
			k := at(c)
			k.job = j.Of
			if of := byKey[k]; of != nil && c.Ours > j.Cost*of.Ours {
				option = append(option, Finding{*c, fmt.Sprintf("%.2f ns, %s %.2f: costs %.2f times, at most %g", c.Ours, j.Of, of.Ours, c.Ours/of.Ours, j.Cost), c.Ours / of.Ours / j.Cost})
			}
		}
		if c.Layout != Dense && c.Layout != Foreign {
			k := at(c)
			k.layout = Dense
			if of := byKey[k]; of != nil && c.Ours > LayoutCost*of.Ours {
				layout = append(layout, Finding{*c, fmt.Sprintf("%.2f ns, dense %.2f: costs %.2f times, at most %g", c.Ours, of.Ours, c.Ours/of.Ours, LayoutCost), c.Ours / of.Ours / LayoutCost})
			}
		}
		if c.Size != Small {
			k := key{job: c.Job, layout: c.Layout, size: c.Size}
			if p := last[k]; p != nil && p.Cols >= StepFrom && neighbours(p.Cols, c.Cols) {
				if s := math.Max(c.Ours/p.Ours, p.Ours/c.Ours); s > Step {
					step = append(step, Finding{*c, fmt.Sprintf("%.2f ns, width %d %.2f: step %.2f, at most %g", c.Ours, p.Cols, p.Ours, c.Ours/p.Ours, Step), s / Step})
				}
			}
			last[k] = c
		}
		if gain := c.Ours / c.Threaded; c.Threaded > 0 && c.Layout != Foreign && gain < ThreadsFloor*c.Bare {
			threads = append(threads, Finding{*c, fmt.Sprintf("%.2f ns, on all processors %.2f: %.2f times, floor %g of %.2f", c.Ours, c.Threaded, gain, ThreadsFloor, c.Bare), ThreadsFloor * c.Bare / gain})
		}
	}
	all := [][]Finding{floor, option, layout, step, threads}
	for _, list := range all {
		slices.SortStableFunc(list, func(a, b Finding) int {
			switch {
			case a.Miss > b.Miss:
				return -1
			case a.Miss < b.Miss:
				return 1
			}
			return 0
		})
	}
	return all
}

// Threads is the list of Findings about threads, the last.
const Threads = 4

// Aims names the lists of Findings.
var Aims = []string{
	"slower than the floor beside the plain loop",
	"options that cost more than they may beside the call without",
	"layouts that cost more than they may beside the dense matrix",
	"steps from one width to the next",
	"threads that gain less than they should",
}

// WriteTables writes a table for each size and layout: widths down, jobs across,
// the time per element (small calls: of the call) and how many times the loop
// takes as long. With threads the gain of all processors comes third.
func WriteTables(w io.Writer, cells []Cell) error {
	type table struct {
		size   int
		layout Layout
	}
	type at struct {
		table
		rows, cols int
		job        string
	}
	var tables []table
	jobs, shapes := make(map[table][]string), make(map[table][][2]int)
	byPlace := make(map[at]*Cell)
	for i := range cells {
		c := &cells[i]
		t := table{c.Size, c.Layout}
		if !slices.Contains(tables, t) {
			tables = append(tables, t)
		}
		if !slices.Contains(jobs[t], c.Job) {
			jobs[t] = append(jobs[t], c.Job)
		}
		rows := c.Rows
		if find(c.Job).Down && c.Size != Small {
			rows = 0 // in the line of its width, whose other jobs may have one row
		}
		s := [2]int{rows, c.Cols}
		if rows > 0 && !slices.Contains(shapes[t], s) {
			shapes[t] = append(shapes[t], s)
		}
		byPlace[at{t, rows, c.Cols, c.Job}] = c
	}
	for _, t := range tables {
		list := shapes[t]
		if len(list) == 0 { // only jobs down columns
			for _, c := range cells {
				if s := [2]int{0, c.Cols}; c.Size == t.size && c.Layout == t.layout && !slices.Contains(list, s) {
					list = append(list, s)
				}
			}
		}
		what, unit := fmt.Sprintf("%d elements, %s", t.size, t.layout), "ns per element"
		if t.size == Small {
			what, unit = "small calls", "ns per call"
		}
		_, _ = fmt.Fprintf(w, "\n%s: %s (times as fast as the loop)\n", what, unit)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintf(tw, "\t%s\t\n", strings.Join(jobs[t], "\t"))
		for _, s := range list {
			if t.size == Small {
				_, _ = fmt.Fprintf(tw, "%d×%d", s[0], s[1])
			} else {
				_, _ = fmt.Fprintf(tw, "%d", s[1])
			}
			for _, j := range jobs[t] {
				c := byPlace[at{t, s[0], s[1], j}]
				if c == nil {
					c = byPlace[at{t, 0, s[1], j}]
				}
				switch {
				case c == nil:
					_, _ = fmt.Fprint(tw, "\t")
				case t.size == Small:
					_, _ = fmt.Fprintf(tw, "\t%.0f (%.2f)", c.Call(), c.Ratio())
				case c.Threaded > 0:
					_, _ = fmt.Fprintf(tw, "\t%.2f (%.1f) ×%.2f", c.Ours, c.Ratio(), c.Ours/c.Threaded)
				default:
					_, _ = fmt.Fprintf(tw, "\t%.2f (%.1f)", c.Ours, c.Ratio())
				}
			}
			_, _ = fmt.Fprint(tw, "\t\n")
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}
