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

// Shape is the shape of a matrix of logits.
type Shape struct{ Rows, Cols int }

func (s Shape) String() string { return fmt.Sprintf("%d×%d", s.Rows, s.Cols) }

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

// groupsOf returns what is timed for a shape: every operation on one thread,
// and two of them on all threads, where the matrix is large enough to share.
func groupsOf(s Shape) []*group {
	var groups []*group
	for _, op := range ops {
		groups = append(groups, &group{op: op, shape: s, threads: 1})
	}
	if n := runtime.NumCPU(); n > 1 && s.Rows*s.Cols >= 1e6 {
		for _, op := range []Op{LogSoftmaxRows, CrossEntropyGrad} {
			groups = append(groups, &group{op: op, shape: s, threads: n})
		}
	}
	return groups
}

// measureSpeed times all groups of all shapes within about the given time, and
// longer where peers are very slow. A peer that fails is an error: a comparison
// with fewer peers than it names would mislead.
func measureSpeed(peers []Peer, shapes []Shape, limit time.Duration, bar *bar) ([]Timing, error) {
	deadline := time.Now().Add(limit)
	left := 0
	for _, s := range shapes {
		left += len(groupsOf(s))
	}
	var timings []Timing
	for _, s := range shapes {
		groups := groupsOf(s)
		share := time.Until(deadline) / time.Duration(left)
		left -= len(groups)
		for pass := range passes {
			works, err := loadAll(peers, s)
			if err != nil {
				return nil, err
			}
			for _, g := range groups {
				bar.describe(fmt.Sprintf("%s, %v, pass %d", g.op, s, pass+1))
				if err := g.measure(peers, works, share, bar); err != nil {
					return nil, err
				}
			}
			for _, w := range works {
				if w != nil {
					w.Close()
				}
			}
		}
		for _, g := range groups {
			timings = append(timings, g.timings(peers)...)
		}
	}
	return timings, nil
}

// loadAll loads the batch of a shape into all peers. Works of those that are
// absent are nil.
func loadAll(peers []Peer, s Shape) ([]Work, error) {
	debug.FreeOSMemory() // else the batch comes to lie where the last one did
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
		if r.samples > 0 {
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
	if _, err := r.work.Time(g.op, 1, g.threads); err != nil { // first use: allocates, compiles
		return err
	}
	t, err := r.work.Time(g.op, 1, g.threads)
	if err != nil {
		return err
	}
	t = max(t, time.Microsecond)
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
	r.ns = append(r.ns, float64(t.Nanoseconds())/float64(r.calls*g.shape.Rows*g.shape.Cols))
	return nil
}

func (g *group) timings(peers []Peer) []Timing {
	var timings []Timing
	for _, r := range g.runners {
		slices.Sort(r.ns)
		timings = append(timings, Timing{
			Op: g.op, Rows: g.shape.Rows, Cols: g.shape.Cols, Threads: g.threads,
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
