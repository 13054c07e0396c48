// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package sweep times package logsoftmax along the widths of rows, from 2 to
// 50257 classes, with every option and layout, each time beside the plain loop
// that does the same, in the same run.
package sweep

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Widths and Sizes (elements of a matrix) are those that are swept.
var (
	Widths = []int{
		2, 3, 5, 8, 10, 16, 20, 33, 50, 64, 65, 71, 96, 100, 127, 128, 200, 257, 300, 500, 513,
		1000, 1001, 1500, 2000, 2048, 2049, 3001, 5000, 10000, 30522, 50257,
	}
	Sizes = []int{1 << 13, 1 << 17, 6e6}
)

// SmallRows and SmallCols are the shapes of the small calls.
var (
	SmallRows = []int{1, 2, 8, 32}
	SmallCols = []int{2, 5, 10, 64, 65, 100}
)

// Small is the size that stands for the small calls.
const Small = 0

// What is timed at once takes at least leastTime; a loop that takes longer than
// slow is timed twice only.
const (
	leastTime = 2 * time.Millisecond
	wakeTime  = 15 * time.Millisecond
	slow      = 10 * time.Millisecond
)

// Config says what to sweep.
type Config struct {
	Jobs    []Job
	Layouts []Layout
	Sizes   []int // Small among them is the small calls
	Widths  []int
	Threads int // of which the package's times are taken too, for 2^17 elements and more; 1 for none
	Samples int

	bare map[int]float64 // bareGain by the logarithm of the time
}

// Cell is what was measured for one job on one shape, in ns per element.
type Cell struct {
	Job        string
	Layout     Layout
	Size       int
	Rows, Cols int
	Ours, Loop float64
	Threaded   float64 `json:",omitempty"` // ours on all processors
	// How many times as fast work that takes as long gets when goroutines share
	// it that do nothing but count.
	Bare float64 `json:",omitempty"`
}

// Ratio is how many times the loop takes as long.
func (c *Cell) Ratio() float64 { return c.Loop / c.Ours }

// Call is the time of one call in ns.
func (c *Cell) Call() float64 { return c.Ours * float64(c.Rows*c.Cols) }

func (c *Cell) String() string {
	return fmt.Sprintf("%s, %s, %d×%d", c.Job, c.Layout, c.Rows, c.Cols)
}

// shape is a matrix, and the size that it belongs to.
type shape struct{ size, rows, cols int }

func (c *Config) shapes() []shape {
	var list []shape
	for _, size := range c.Sizes {
		if size == Small {
			for _, cols := range SmallCols {
				for _, rows := range SmallRows {
					list = append(list, shape{size, rows, cols})
				}
			}
			continue
		}
		for _, cols := range c.Widths {
			list = append(list, shape{size, max(1, (size+cols/2)/cols), cols})
		}
	}
	return list
}

// Run measures everything that c names, and calls report with each cell.
func Run(c *Config, report func(Cell)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := new(pool)
	for _, s := range c.shapes() {
		for _, layout := range c.Layouts {
			if layout != Dense && s.size == Small {
				continue
			}
			var d *data
			for i := range c.Jobs {
				j := &c.Jobs[i]
				if layout != Dense && !slices.Contains(LayoutJobs, j.Name) {
					continue
				}
				rows := s.rows
				if j.Down {
					rows = max(2, rows)
				}
				if d == nil || d.rows != rows {
					d = newData(p, rows, s.cols, layout)
				}
				report(c.cell(j, d, s.size))
			}
		}
	}
}

// cell times one job, the package and the loop in turn.
func (c *Config) cell(j *Job, d *data, size int) Cell {
	var before func()
	if d.layout == InPlace {
		before = d.restore
		defer d.restore()
	}
	ours := &timer{f: j.ours(d), before: before}
	loop := &timer{f: j.loop(d), before: before}
	ours.calibrate()
	loop.calibrate()
	for i := range c.Samples {
		ours.sample()
		if i < 2 || loop.one < slow {
			loop.sample()
		}
	}
	n := float64(d.rows * d.cols)
	r := Cell{
		Job: j.Name, Layout: d.layout, Size: size, Rows: d.rows, Cols: d.cols,
		Ours: rounded(ours.least() / n), Loop: rounded(loop.least() / n),
	}
	if c.Threads > 1 && size >= 1<<17 {
		r.Threaded = rounded(c.threaded(ours) / n)
		r.Bare = rounded(c.bareGain(ours.least()))
	}
	return r
}

// threaded returns the time of a call with several threads. A processor that has
// idled takes some ten milliseconds to come back to speed: that long goes before.
func (c *Config) threaded(one *timer) float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Threads))
	t := &timer{f: one.f, before: one.before, calls: one.calls}
	for start := time.Now(); time.Since(start) < wakeTime; {
		t.time()
	}
	for range c.Samples {
		t.sample()
	}
	return t.least()
}

// bareGain returns how many times as fast work of so many nanoseconds gets when as
// many goroutines as threads share it that do nothing but count. A processor that
// has to be woken comes late: what that leaves to be gained is the machine's.
func (c *Config) bareGain(ns float64) float64 {
	k := int(math.Round(math.Log2(ns)))
	if g, ok := c.bare[k]; ok {
		return g
	}
	const step = 1 << 10
	one := &timer{f: func() { count(step) }}
	one.calibrate()
	one.sample()
	n := int(math.Exp2(float64(k))/one.least()*step) + 1
	alone := &timer{f: func() { count(n) }}
	alone.calibrate()
	shared := &timer{f: func() {
		var others sync.WaitGroup
		for range c.Threads - 1 {
			others.Go(func() { count(n / c.Threads) })
		}
		count(n / c.Threads)
		others.Wait()
	}, calls: alone.calls}
	for range max(3, c.Samples) {
		alone.sample()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Threads))
	for start := time.Now(); time.Since(start) < wakeTime; {
		shared.time()
	}
	for range max(3, c.Samples) {
		shared.sample()
	}
	if c.bare == nil {
		c.bare = make(map[int]float64)
	}
	c.bare[k] = alone.least() / shared.least()
	return c.bare[k]
}

// count takes a time proportional to n.
func count(n int) {
	x := 0.0
	for range n {
		x = x*0.5 + 1
	}
	if x > 2 {
		panic("sweep: a geometric series beyond its limit")
	}
}

// timer times a function.
type timer struct {
	f, before func()        // before may be nil
	one       time.Duration // a call, as first seen
	calls     int           // in a sample
	ns        []float64     // a call
}

func (t *timer) calibrate() {
	for t.calls = 1; ; t.calls *= 4 { // the first calls find nothing in the caches
		sum := t.time()
		t.one = sum / time.Duration(t.calls)
		if sum >= leastTime/4 {
			break
		}
	}
	t.calls = int(max(1, leastTime/max(t.one, 1)))
}

// time returns the time of a sample, that of before, which comes before each
// call, left out.
func (t *timer) time() time.Duration {
	if t.before == nil {
		start := time.Now()
		for range t.calls {
			t.f()
		}
		return time.Since(start)
	}
	var sum time.Duration
	for range t.calls {
		t.before()
		start := time.Now()
		t.f()
		sum += time.Since(start)
	}
	return sum
}

func (t *timer) sample() {
	t.ns = append(t.ns, float64(t.time().Nanoseconds())/float64(t.calls))
}

// least is the time of the fastest sample: what else runs on the machine only
// ever adds to it.
func (t *timer) least() float64 { return slices.Min(t.ns) }

// rounded keeps four digits.
func rounded(x float64) float64 {
	e := math.Pow(10, 3-math.Floor(math.Log10(x)))
	return math.Round(x*e) / e
}
