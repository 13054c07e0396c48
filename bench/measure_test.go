// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"errors"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	x := []float64{1, 2, 4, 8, 16}
	for _, c := range []struct{ q, want float64 }{{0, 1}, {0.25, 2}, {0.5, 4}, {0.625, 6}, {1, 16}} {
		if got := quantile(x, c.q); got != c.want {
			t.Errorf("quantile %v is %v, want %v", c.q, got, c.want)
		}
	}
	if got := quantile([]float64{3}, 0.5); got != 3 {
		t.Errorf("median of one sample is %v, want 3", got)
	}
}

// fakeWork takes a fixed time for a call, or fails.
type fakeWork struct {
	perCall time.Duration
	err     error
}

func (w fakeWork) Has(op Op) bool { return op == LogSoftmaxRows }
func (w fakeWork) Time(_ Op, calls, _ int) (time.Duration, error) {
	return time.Duration(calls) * w.perCall, w.err
}
func (w fakeWork) Result(Op) (float64, []float64, error) { return 0, nil, nil }
func (w fakeWork) Close()                                {}

func TestMeasure(t *testing.T) {
	peers := []Peer{{Name: "fast"}, {Name: "slow"}, {Name: "absent"}, {Name: "very slow"}}
	works := []Work{fakeWork{perCall: 2 * time.Microsecond}, fakeWork{perCall: time.Second}, nil, fakeWork{perCall: 2 * time.Second}}
	g := &group{op: LogSoftmaxRows, shape: Shape{Rows: 10, Cols: 100}, threads: 1}
	for range passes {
		if err := g.measure(peers, works, 10*time.Second, &bar{}); err != nil {
			t.Fatal(err)
		}
	}
	timings := g.timings(peers)
	if len(timings) != 3 {
		t.Fatalf("%d timings, want 3", len(timings))
	}
	if f := timings[0]; f.Peer != "fast" || f.Samples != passes*rounds || f.Median != 2 || f.Min != 2 || f.Max != 2 {
		t.Errorf("%+v, want %d samples of 2 ns", f, passes*rounds)
	}
	if s := timings[1]; s.Peer != "slow" || s.Samples != passes*minSamples || s.Median != 1e6 {
		t.Errorf("%+v, want %d samples of 1e6 ns", s, passes*minSamples)
	}
	if s := timings[2]; s.Peer != "very slow" || s.Samples != 1 || s.Median != 2e6 {
		t.Errorf("%+v, want one sample of 2e6 ns", s)
	}
	if done([]*group{g}) {
		t.Error("the passes end while there is something to time")
	}
	if slow := (&group{runners: g.runners[2:]}); !done([]*group{slow}) {
		t.Error("there is another pass for what is timed once")
	}
	works[0] = fakeWork{err: errors.New("broken")}
	if err := g.measure(peers, works, time.Second, &bar{}); err == nil {
		t.Error("a peer that fails is passed over")
	}
}
