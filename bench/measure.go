// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Shape is the shape of a matrix of logits, and, where they are made of features,
// how many there are.
type Shape struct {
	Rows, Cols int
	Features   int `json:",omitempty"`
}

// String writes rows and classes, with the features between them.
func (s Shape) String() string {
	if s.Features > 0 {
		return fmt.Sprintf("%d×%d×%d", s.Rows, s.Features, s.Cols)
	}
	return fmt.Sprintf("%d×%d", s.Rows, s.Cols)
}

// Case is a shape and what is timed on it.
type Case struct {
	Shape
	Ops      []Op
	Threaded []Op // on all processors as well
}

var cases = []Case{
	{Shape{Rows: 1, Cols: 10}, []Op{LogSoftmaxRows, CrossEntropy, CrossEntropyGrad}, nil},
	{Shape{Rows: 32, Cols: 10}, []Op{LogSoftmaxRows, CrossEntropy, CrossEntropyGrad}, nil},
	{Shape{Rows: 4096, Cols: 10}, []Op{LogSoftmaxRows, LogSoftmaxColumns, CrossEntropy, CrossEntropyGrad}, nil},
	{Shape{Rows: 1000000, Cols: 10}, []Op{LogSoftmaxRows, CrossEntropyGrad}, []Op{CrossEntropyGrad}},
	{Shape{Rows: 65536, Cols: 2}, []Op{CrossEntropyGrad, WeightedGrad}, nil},
	{Shape{Rows: 100000, Cols: 65}, []Op{LogSoftmaxRows, CrossEntropyGrad}, []Op{CrossEntropyGrad}},
	{Shape{Rows: 50000, Cols: 100}, []Op{LogSoftmaxRows, CrossEntropyGrad}, []Op{CrossEntropyGrad}},
	{Shape{Rows: 1024, Cols: 1000}, []Op{LogSoftmaxRows, LogSoftmaxColumns, CrossEntropy, CrossEntropyGrad}, []Op{LogSoftmaxRows, CrossEntropyGrad}},
	{Shape{Rows: 16, Cols: 50257}, []Op{CrossEntropyGrad, SmoothedGrad}, nil},
	{Shape{Rows: 64, Cols: 50257}, []Op{LogSoftmaxRows, LogSoftmaxColumns, CrossEntropy, CrossEntropyGrad}, []Op{LogSoftmaxRows, CrossEntropyGrad}},
	{Shape{Rows: 4096, Cols: 4096}, []Op{LogSoftmaxRows, LogSoftmaxColumns, CrossEntropy, CrossEntropyGrad}, []Op{LogSoftmaxRows, CrossEntropyGrad}},
	{Shape{Rows: 16384, Features: 64, Cols: 10}, []Op{LinearGrad}, []Op{LinearGrad}},
	{Shape{Rows: 4096, Features: 64, Cols: 1000}, []Op{LinearGrad}, []Op{LinearGrad}},
	{Shape{Rows: 2048, Features: 64, Cols: 8192}, []Op{LinearGrad}, []Op{LinearGrad}},
	{Shape{Rows: 512, Features: 768, Cols: 50257}, []Op{LinearGrad}, []Op{LinearGrad}},
}

// quickCases are those of a short pass.
var quickCases = []Case{
	{Shape{Rows: 32, Cols: 10}, []Op{LogSoftmaxRows, CrossEntropy, CrossEntropyGrad}, nil},
	{Shape{Rows: 1024, Cols: 1000}, []Op{LogSoftmaxRows, LogSoftmaxColumns, CrossEntropy, CrossEntropyGrad, WeightedGrad, SmoothedGrad}, []Op{CrossEntropyGrad}},
	{Shape{Rows: 4096, Features: 64, Cols: 10}, []Op{LinearGrad}, nil},
}

// A shape is measured in passes, each with the data loaded anew, since where
// they lie in memory matters as well. In each pass there are rounds of samples,
// of which a peer that is slow takes part in fewer.
const (
	passes     = 3
	rounds     = 10
	minSamples = 2 // in a pass

	// leastTime is that of a sample: below it, the operation is repeated. A
	// processor takes some ten milliseconds to come back to speed when it has
	// idled or worked on something else, and a library in another process has
	// always idled; so as many calls go before that are not counted.
	leastTime = 20 * time.Millisecond

	// Of calls that take slowCall one alone is timed, after one that is not;
	// and of calls that take verySlowCall the first.
	slowCall     = time.Second
	verySlowCall = 5 * time.Second
)

// group is one operation on one shape by all peers that have it.
type group struct {
	op      Op
	shape   Shape
	threads int
	runners []*runner
}

// runner is one peer in a group.
type runner struct {
	peer    int // its index
	work    Work
	warm    int // calls before a sample
	calls   int // in a sample
	samples int // in a pass
	ns      []float64
}

// groups returns what is timed for a case: its operations on one thread, and on
// all threads those that are to be.
func (c *Case) groups() []*group {
	var groups []*group
	for _, op := range c.Ops {
		groups = append(groups, &group{op: op, shape: c.Shape, threads: 1})
	}
	if n := runtime.NumCPU(); n > 1 {
		for _, op := range c.Threaded {
			groups = append(groups, &group{op: op, shape: c.Shape, threads: n})
		}
	}
	return groups
}

// measureSpeed times all groups of all shapes within about the given time, and
// longer where peers are very slow. A peer that fails is an error: a comparison
// with fewer peers than it names would mislead.
func measureSpeed(peers []Peer, cases []Case, limit time.Duration, bar *bar) ([]Timing, error) {
	deadline := time.Now().Add(limit)
	left := 0
	for _, c := range cases {
		left += len(c.groups())
	}
	var timings []Timing
	for _, c := range cases {
		groups := c.groups()
		share := time.Until(deadline) / time.Duration(left)
		left -= len(groups)
		for pass := range passes {
			works, err := loadAll(peers, c.Shape)
			if err != nil {
				return nil, err
			}
			for _, g := range groups {
				bar.describe(fmt.Sprintf("%s, %v, pass %d", g.op, c.Shape, pass+1))
				if err := g.measure(peers, works, share, bar); err != nil {
					return nil, err
				}
			}
			for _, w := range works {
				if w != nil {
					w.Close()
				}
			}
			if done(groups) {
				break
			}
		}
		for _, g := range groups {
			timings = append(timings, g.timings(peers)...)
		}
	}
	return timings, nil
}

// done reports whether another pass would time nothing.
func done(groups []*group) bool {
	for _, g := range groups {
		for _, r := range g.runners {
			if r.samples > 0 {
				return false
			}
		}
	}
	return true
}

// loadAll loads the batch of a shape into all peers. Works of those that are
// absent are nil.
func loadAll(peers []Peer, s Shape) ([]Work, error) {
	debug.FreeOSMemory() // else the batch comes to lie where the last one did
	b := NormalBatch(rand.New(rand.NewPCG(1, uint64(s.Cols))), s, 1)
	works := make([]Work, len(peers))
	for i, p := range peers {
		load := p.load
		if s.Features > 0 {
			load = p.linear
		}
		if load == nil {
			continue
		}
		w, err := load(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		works[i] = w
	}
	return works, nil
}

// measure does a pass; the first one also finds out who takes part, and how
// often within the share of the time.
func (g *group) measure(peers []Peer, works []Work, share time.Duration, bar *bar) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(g.threads))
	if g.runners == nil {
		for i, p := range peers {
			if works[i] != nil && works[i].Has(g.op) && (g.threads == 1 || p.parallel) {
				g.runners = append(g.runners, &runner{peer: i})
			}
		}
	}
	for _, r := range g.runners {
		r.work = works[r.peer]
		if r.samples > 0 || len(r.ns) > 0 {
			continue
		}
		if err := r.calibrate(g, share/time.Duration(len(g.runners))); err != nil {
			return fmt.Errorf("%s: %s: %w", peers[r.peer].Name, g.op, err)
		}
	}
	// The samples of a peer are spread over all rounds, and the order of the
	// peers differs from round to round, so that a drift of the machine or the
	// neighbour of a moment falls on all alike.
	for round := range rounds {
		for _, i := range rand.Perm(len(g.runners)) {
			r := g.runners[i]
			if round*r.samples/rounds == (round+1)*r.samples/rounds {
				continue
			}
			if err := r.sample(g); err != nil {
				return fmt.Errorf("%s: %s: %w", peers[r.peer].Name, g.op, err)
			}
		}
		bar.step()
	}
	return nil
}

// calibrate decides how many calls make a sample and how many samples fit into
// the share of the time.
func (r *runner) calibrate(g *group, share time.Duration) error {
	t, err := r.work.Time(g.op, 1, g.threads) // first use: allocates, compiles
	if err != nil {
		return err
	}
	r.calls = 1
	if slowCall < t && t < verySlowCall {
		if t, err = r.work.Time(g.op, 1, g.threads); err != nil {
			return err
		}
	}
	if t > slowCall {
		r.add(g, t)
		return nil
	}
	for t < leastTime/10 { // a small call: many are needed to know what one takes
		r.calls *= 10
		if t, err = r.work.Time(g.op, r.calls, g.threads); err != nil {
			return err
		}
	}
	t /= time.Duration(r.calls)
	r.calls = int(max(1, (leastTime+t-1)/t))
	if t < 5*leastTime {
		r.warm = r.calls
	}
	cost := time.Duration(r.warm+r.calls) * t
	r.samples = min(max(int(share/cost/passes), minSamples), rounds)
	return nil
}

// sample times the operation once, the garbage of others collected before.
func (r *runner) sample(g *group) error {
	runtime.GC()
	if _, err := r.work.Time(g.op, r.warm, g.threads); err != nil {
		return err
	}
	t, err := r.work.Time(g.op, r.calls, g.threads)
	if err != nil {
		return err
	}
	r.add(g, t)
	return nil
}

// add notes the time of a sample.
func (r *runner) add(g *group, t time.Duration) {
	r.ns = append(r.ns, float64(t.Nanoseconds())/float64(r.calls*g.shape.Rows*g.shape.Cols))
}

func (g *group) timings(peers []Peer) []Timing {
	var timings []Timing
	for _, r := range g.runners {
		slices.Sort(r.ns)
		timings = append(timings, Timing{
			Op: g.op, Shape: g.shape, Threads: g.threads,
			Peer: peers[r.peer].Name, Samples: len(r.ns),
			Min: quantile(r.ns, 0), P10: quantile(r.ns, 0.1), Median: quantile(r.ns, 0.5),
			P90: quantile(r.ns, 0.9), Max: quantile(r.ns, 1),
		})
	}
	return timings
}

// quantile returns a quantile of sorted samples, linear between neighbours.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return round3(sorted[len(sorted)-1])
	}
	return round3(sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i]))
}

// round3 keeps picoseconds, beyond which nothing here is measured.
func round3(x float64) float64 { return math.Round(x*1e3) / 1e3 }
