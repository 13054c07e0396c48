// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPeersAgree holds every peer that is there to this package's results on
// ordinary logits: what is timed must be the same work.
func TestPeersAgree(t *testing.T) {
	python, stop := pythonPeers(interpreters())
	defer stop()
	peers := append(goPeers(), python...)
	for _, shape := range []Shape{{Rows: 7, Cols: 33}, {Rows: 7, Cols: 33, Features: 5}} {
		b := NormalBatch(rand.New(rand.NewPCG(1, 1)), shape, 2)
		loader := func(p Peer) func(*Batch) (Work, error) {
			if shape.Features > 0 {
				return p.linear
			}
			return p.load
		}
		own, err := loader(peers[0])(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			if loader(p) == nil || p.Floor {
				continue
			}
			w, err := loader(p)(b)
			if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
			testPeer(t, p, b, w, own)
			w.Close()
		}
	}
}

// testPeer holds the results of w to those of own.
func testPeer(t *testing.T, p Peer, b *Batch, w, own Work) {
	tolerance := 1e-9 + 2*p.relative
	for _, op := range ops {
		if !w.Has(op) || !own.Has(op) {
			continue
		}
		wantLoss, want, err := own.Result(op)
		if err != nil {
			t.Fatal(err)
		}
		want = slices.Clone(want)
		for i := range b.Dst {
			b.Dst[i] = math.NaN() // shared: what is left there must not count for the peer
		}
		loss, got, err := w.Result(op)
		if err != nil {
			t.Errorf("%s: %s: %v", p.Name, op, err)
			continue
		}
		if !(math.Abs(loss-wantLoss) <= tolerance) {
			t.Errorf("%s: %s: loss %v, want %v", p.Name, op, loss, wantLoss)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %s: %d elements, want %d", p.Name, op, len(got), len(want))
			continue
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= tolerance) {
				t.Errorf("%s: %s: element %d is %v, want %v", p.Name, op, i, got[i], want[i])
				break
			}
		}
		if d, err := w.Time(op, 2, 1); err != nil || d <= 0 {
			t.Errorf("%s: %s: time %v, error %v", p.Name, op, d, err)
		}
	}
}

func TestAbsentPython(t *testing.T) {
	peers, stop := pythonPeers([]string{"no-such-python"})
	defer stop()
	for _, p := range peers {
		if p.load != nil || p.Absent == "" {
			t.Errorf("%s is not said to be absent", p.Name)
		}
	}
}
