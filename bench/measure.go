// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// Shape is the shape of a matrix of logits.
type Shape struct{ Rows, Cols int }

func (s Shape) String() string { return fmt.Sprintf("%d×%d", s.Rows, s.Cols) }

// Rounds of samples, the fewest samples of a peer that is slow, and the least
// time of a sample, below which an operation is repeated in it: a processor
// takes some ten milliseconds to come back to speed when it has idled or worked
// on something else, and a library in another process has always idled.
const (
	maxSamples = 31
	minSamples = 5
	leastTime  = 20 * time.Millisecond
)

// group is the timing of one operation on one batch by all peers that have it.
type group struct {
	op      Op
	threads int
}

// groupsOf returns what is timed for a shape: every operation on one thread,
// and two of them on all threads, where the matrix is large enough for that.
func groupsOf(s Shape) []group {
	var groups []group
	for _, op := range ops {
		groups = append(groups, group{op, 1})
	}
	if n := runtime.NumCPU(); n > 1 && s.Rows*s.Cols >= 1<<20-1<<16 && s.Rows >= 1000 {
		groups = append(groups, group{LogSoftmaxRows, n}, group{CrossEntropyGrad, n})
	}
	return groups
}

// measureSpeed times all groups of all shapes within about the given time. A
// peer that fails is an error: a comparison with fewer peers than it names
// would mislead.
func measureSpeed(peers []Peer, shapes []Shape, limit time.Duration, bar *bar) ([]Timing, error) {
	deadline := time.Now().Add(limit)
	left := 0
	for _, s := range shapes {
		left += len(groupsOf(s))
	}
	var timings []Timing
	for _, s := range shapes {
		b := NormalBatch(rand.New(rand.NewPCG(1, uint64(s.Cols))), s.Rows, s.Cols, 1)
		works := make([]Work, len(peers))
		for i, p := range peers {
			if p.load == nil {
				continue
			}
			w, err := p.load(b)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			works[i] = w
		}
		for _, g := range groupsOf(s) {
			bar.describe(fmt.Sprintf("%s, %v", g.op, s))
			t, err := g.measure(peers, works, s, time.Until(deadline)/time.Duration(left), bar)
			if err != nil {
				return nil, err
			}
			timings = append(timings, t...)
			left--
		}
		for _, w := range works {
			if w != nil {
				w.Close()
			}
		}
	}
	return timings, nil
}

// runner is one peer in a group.
type runner struct {
	peer    string
	work    Work
	calls   int // in a sample
	samples int // wanted
	ns      []float64
}

func (g group) measure(peers []Peer, works []Work, s Shape, limit time.Duration, bar *bar) ([]Timing, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(g.threads))
	var runners []*runner
	for i, p := range peers {
		if works[i] != nil && works[i].Has(g.op) && (g.threads == 1 || p.parallel) {
			runners = append(runners, &runner{peer: p.Name, work: works[i]})
		}
	}
	for _, r := range runners {
		if err := r.calibrate(g, limit/time.Duration(len(runners))); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", r.peer, g.op, err)
		}
	}
	// The samples of a peer are spread over all rounds, and the order of the
	// peers differs from round to round, so that a drift of the machine or the
	// neighbour of a moment falls on all alike.
	rng := rand.New(rand.NewPCG(2, uint64(s.Cols)))
	for round := range maxSamples {
		for _, i := range rng.Perm(len(runners)) {
			r := runners[i]
			if round*r.samples/maxSamples == (round+1)*r.samples/maxSamples {
				continue
			}
			if err := r.sample(g, s); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", r.peer, g.op, err)
			}
		}
		bar.step()
	}
	var timings []Timing
	for _, r := range runners {
		slices.Sort(r.ns)
		timings = append(timings, Timing{
			Op: g.op, Rows: s.Rows, Cols: s.Cols, Threads: g.threads, Peer: r.peer, Samples: len(r.ns),
			Min: quantile(r.ns, 0), Lower: quantile(r.ns, 0.25), Median: quantile(r.ns, 0.5),
			Upper: quantile(r.ns, 0.75), Max: quantile(r.ns, 1),
		})
	}
	return timings, nil
}

// calibrate decides how many calls make a sample and how many samples fit into
// the share of the time.
func (r *runner) calibrate(g group, share time.Duration) error {
	if _, err := r.work.Time(g.op, 1, g.threads); err != nil { // first use: allocates, compiles
		return err
	}
	t, err := r.work.Time(g.op, 1, g.threads)
	if err != nil {
		return err
	}
	t = max(t, time.Microsecond)
	r.calls = int(max(1, (leastTime+t-1)/t))
	cost := 2 * time.Duration(r.calls) * t
	r.samples = min(max(int(share/cost), minSamples), maxSamples)
	return nil
}

// sample times the operation once: the garbage of others collected, and after
// as many calls that are not counted.
func (r *runner) sample(g group, s Shape) error {
	runtime.GC()
	if _, err := r.work.Time(g.op, r.calls, g.threads); err != nil {
		return err
	}
	t, err := r.work.Time(g.op, r.calls, g.threads)
	if err != nil {
		return err
	}
	ns := float64(t.Nanoseconds()) / float64(r.calls) / float64(s.Rows*s.Cols)
	r.ns = append(r.ns, round3(ns))
	return nil
}

// quantile returns a quantile of sorted samples, linear between neighbours.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return round3(sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i]))
}

// round3 keeps picoseconds, beyond which nothing here is measured.
func round3(x float64) float64 { return math.Round(x*1e3) / 1e3 }
