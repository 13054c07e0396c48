// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build unix

package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"example.org/logsoftmax/internal/testkit"
)

// TestGuards proves that the guards of the other tests do guard.
func TestGuards(t *testing.T) {
	g := testkit.NewGuarded(t, 10)
	x := g.First(1)
	if testkit.Fault(func() { sink = x[0]; x[0] = 1 }) != nil {
		t.Fatal("the memory between the guards faults")
	}
	before := (*float64)(unsafe.Add(unsafe.Pointer(&x[0]), -8))
	y := g.Last(1)
	behind := (*float64)(unsafe.Add(unsafe.Pointer(&y[0]), 8))
	for name, p := range map[string]*float64{"before": before, "behind": behind} {
		if testkit.Fault(func() { sink = *p }) == nil {
			t.Errorf("reading %s the memory does not fault", name)
		}
		if testkit.Fault(func() { *p = 1 }) == nil {
			t.Errorf("writing %s the memory does not fault", name)
		}
	}
}

// TestGuardedKernels has the operands of every kernel of every tier begin right
// behind, and end right before, a page that faults.
func TestGuardedKernels(t *testing.T) {
	const most = 8
	var pages [most]testkit.Guarded
	for i := range pages {
		pages[i] = testkit.NewGuarded(t, Width*(FewCols+5)+int(unsafe.Sizeof(Panel{}))/8)
	}
	eachTier(t, func(t *testing.T) {
		for k := range kernels {
			row := &kernels[k]
			for m, s := range row.layout.someShapes() {
				for e := range testkit.Ends {
					next := 0
					place := func(words int) []float64 {
						next++
						return testkit.Ends[(e+next*m)%2].Take(&pages[next-1], words)
					}
					o := newOperands(rand.New(rand.NewPCG(33, uint64(m))), row.layout, row.values, s, place)
					if v := testkit.Fault(func() { row.call(o) }); v != nil {
						t.Fatalf("%s of %+v, the first operand at the %s of its pages: %v", row.name, s, testkit.Ends[e].Name, v)
					}
				}
			}
		}
	})
}

// TestGuardedProduct is the same for matrix products.
func TestGuardedProduct(t *testing.T) {
	const most = 1 << 17
	a, b, dst, plus := testkit.NewGuarded(t, most), testkit.NewGuarded(t, most), testkit.NewGuarded(t, most), testkit.NewGuarded(t, 64)
	eachTier(t, func(t *testing.T) {
		eachProduct(func(p *productCase) {
			for e, end := range testkit.Ends {
				other := testkit.Ends[1-e]
				copyTo := func(g *testkit.Guarded, x []float64) []float64 {
					to := end.Take(g, len(x))
					copy(to, x)
					return to
				}
				guarded := *p
				guarded.a.Data, guarded.b.Data = copyTo(&a, p.a.Data), copyTo(&b, p.b.Data)
				if p.plus != nil {
					guarded.plus = copyTo(&plus, p.plus)
				}
				if v := testkit.Fault(func() { guarded.into(other.Take(&dst, p.size())) }); v != nil {
					t.Fatalf("%d×%d by %d×%d, from the %s to the %s of their pages: %v", p.rows, p.n, p.n, p.cols, end.Name, other.Name, v)
				}
			}
		})
	})
}
