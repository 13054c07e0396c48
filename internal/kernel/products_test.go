// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"example.org/logsoftmax/internal/testkit"
)

// A productCase is a product and the memory that it is in.
type productCase struct {
	rows, cols, n int
	a             Factor
	b             Rows
	plus          []float64
	stride        int
	onto          bool
}

// newProductCase draws the operands of a product of the given size, stored in
// one of several ways and with special values here and there.
func newProductCase(r *rand.Rand, rows, cols, n int) *productCase {
	p := &productCase{rows: rows, cols: cols, n: n, onto: r.IntN(2) == 0}
	number := func() float64 {
		switch r.IntN(200) {
		case 0:
			return testkit.NaNs[r.IntN(len(testkit.NaNs))]
		case 1:
			return math.Inf(r.IntN(2)*2 - 1)
		case 2:
			return math.Copysign(0, testkit.Uniform(r))
		case 3:
			return testkit.Uniform(r) * 0x1p-1040
		}
		return testkit.Uniform(r)
	}
	filled := func(n int) []float64 {
		x := make([]float64, n)
		testkit.FillWith(x, number)
		return x
	}
	switch gap := r.IntN(3); r.IntN(3) {
	case 0:
		p.a = Factor{Row: n + gap, Step: 1}
	case 1:
		p.a = Factor{Row: 1, Step: rows + gap}
	default:
		p.a = Factor{Row: 0, Step: 0}
	}
	p.a.Data = filled((rows-1)*p.a.Row + max(0, n-1)*p.a.Step + 1)
	p.b.Stride = cols + r.IntN(3)
	p.b.Data = filled(max(0, n-1)*p.b.Stride + cols)
	p.stride = cols + r.IntN(3)
	if r.IntN(2) == 0 {
		p.plus = filled(rows)
	}
	return p
}

// size is how much memory the result takes.
func (p *productCase) size() int { return (p.rows-1)*p.stride + p.cols }

// into computes the product.
func (p *productCase) into(dst []float64) {
	Product(Rows{dst, p.stride}, p.rows, p.cols, p.a, p.b, p.n, p.plus, p.onto)
}

// eachProduct calls f for products of many sizes.
func eachProduct(f func(p *productCase)) {
	r := rand.New(rand.NewPCG(51, 52))
	for rows := 1; rows <= 18; rows++ {
		for cols := 1; cols <= 50; cols++ {
			f(newProductCase(r, rows, cols, r.IntN(12)))
		}
	}
	for _, n := range []int{stepsAtOnce - 1, stepsAtOnce, stepsAtOnce + 1, 2*stepsAtOnce + 3} {
		f(newProductCase(r, 9, 27, n))
	}
}

// TestProduct holds every tier to the definition.
func TestProduct(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(53, 54))
		eachProduct(func(p *productCase) {
			around := make([]float64, margin+p.size()+margin)
			Fill(around, canary)
			testkit.FillWith(around[margin:][:p.size()], func() float64 { return testkit.Uniform(r) })
			want := slices.Clone(around)
			p.into(around[margin:])
			for i := range p.rows {
				for j := range p.cols {
					at := margin + i*p.stride + j
					sum := 0.0
					if p.onto {
						sum = want[at]
					}
					for k := range p.n {
						sum = math.FMA(p.a.Data[i*p.a.Row+k*p.a.Step], p.b.Data[k*p.b.Stride+j], sum)
					}
					addend := 0.0
					if p.plus != nil {
						addend = p.plus[i]
					}
					if sum += addend; sum != sum {
						sum = NaN
					}
					want[at] = sum
				}
			}
			if i := testkit.Difference(around, want); i >= 0 {
				t.Fatalf("%d×%d by %d×%d, onto %v: element %d is %x, want %x", p.rows, p.n, p.n, p.cols, p.onto, i-margin, around[i], want[i])
			}
		})
	})
}

// TestProductSplit computes products by parts: of rows, columns, and steps.
func TestProductSplit(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(55, 56))
		for range 300 {
			p := newProductCase(r, 2+r.IntN(20), 2+r.IntN(60), 2+r.IntN(40))
			p.onto = false
			whole, parts := make([]float64, p.size()), make([]float64, p.size())
			p.into(whole)
			rows, cols, steps := 1+r.IntN(p.rows-1), 1+r.IntN(p.cols-1), 1+r.IntN(p.n-1)
			for _, i := range [][2]int{{0, rows}, {rows, p.rows}} {
				for _, j := range [][2]int{{0, cols}, {cols, p.cols}} {
					for _, k := range [][2]int{{0, steps}, {steps, p.n}} {
						var plus []float64
						if k[1] == p.n && p.plus != nil {
							plus = p.plus[i[0]:i[1]]
						}
						Product(Rows{parts, p.stride}.at(i[0], j[0]), i[1]-i[0], j[1]-j[0],
							p.a.at(i[0], k[0]), p.b.at(k[0], j[0]), k[1]-k[0], plus, k[0] > 0)
					}
				}
			}
			if i := testkit.Difference(whole, parts); i >= 0 {
				t.Fatalf("%d×%d by %d×%d, split at %d, %d, %d: element %d is %x, in parts %x", p.rows, p.n, p.n, p.cols, rows, steps, cols, i, whole[i], parts[i])
			}
		}
	})
}
