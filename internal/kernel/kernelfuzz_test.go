// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"example.org/logsoftmax/internal/testkit"
)

// fuzzed fills a slice: with raw bits of data as far as they go, then numbers of
// a kind that the rest of the arguments choose.
func fuzzed(data []byte, seed uint64, x []float64) {
	r := rand.New(rand.NewPCG(seed, 61))
	fillings[int(seed%uint64(len(fillings)))].fill(r, x)
	for i := 0; i < len(x) && len(data) >= 8; i++ {
		x[i] = math.Float64frombits(binary.LittleEndian.Uint64(data))
		data = data[8:]
	}
}

// FuzzRowKernels holds the kernels of one slice to the reference on raw bits.
func FuzzRowKernels(f *testing.F) {
	bits := func(x ...float64) (b []byte) {
		for _, v := range x {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		return b
	}
	inf := math.Inf(1)
	f.Add(bits(1, 2, 3), uint64(0), uint16(2), byte(0))
	f.Add(bits(0, -50), uint64(1), uint16(1), byte(1))
	f.Add(bits(-inf, 0, 1), uint64(2), uint16(2), byte(2))
	f.Add(bits(testkit.NaNs...), uint64(12), uint16(40), byte(3))
	f.Add(bits(inf, -inf, math.Copysign(0, -1), 0), uint64(13), uint16(64), byte(4))
	f.Add(bits(math.MaxFloat64, -math.MaxFloat64), uint64(9), uint16(65), byte(5))
	f.Add(bits(1e15, 1e15+1), uint64(8), uint16(200), byte(6))
	f.Add(bits(1600, 810, 809.5, 810.5), uint64(7), uint16(2047), byte(7))
	f.Add(bits(-1600, -1599.9, math.SmallestNonzeroFloat64), uint64(6), uint16(129), byte(8))
	for k := range fillings {
		f.Add([]byte(nil), uint64(k), uint16(61*k+5), byte(k))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, length uint16, align byte) {
		n := 1 + int(length)%ChunkLen
		in, out, want := newFenced(n, int(align%8)), newFenced(n, int(align/8%8)), make([]float64, n)
		for _, it := range Tiers()[min(1, len(Tiers())-1):] {
			onTier(it, func() {
				fuzzed(data, seed, in.x)
				testRowKernels(t, rand.New(rand.NewPCG(seed, 62)), &in, &out, want)
				if t.Failed() {
					t.Logf("tier %v", it)
				}
			})
		}
	})
}

// FuzzColumnKernels holds the kernels of slices side by side to the reference
// on raw bits.
func FuzzColumnKernels(f *testing.F) {
	f.Add([]byte(nil), uint64(0), byte(0), byte(0), byte(0), byte(0))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\xf8\x7f\x01\x00\x00\x00\x00\x00\xf0\xff"), uint64(0), byte(9), byte(1), byte(3), byte(1))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\xf0\xff\x00\x00\x00\x00\x00\x00\xf0\x7f"), uint64(3), byte(63), byte(7), byte(0), byte(2))
	for k := range fillings {
		f.Add([]byte(nil), uint64(k), byte(17*k), byte(k), byte(3*k), byte(11*k))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, length, groups, gap, align byte) {
		n, g := 1+int(length)%(2*BlockLen), 1+int(groups)%(Width/Group)
		stride := g*Group + int(gap%32)
		in := newStrip(stride, n, g, int(align%8))
		for i := range g * Group {
			slice := make([]float64, n)
			if k := i * n * 8 % (len(data) + 1); i%3 > 0 || k == 0 {
				fuzzed(data[k:], seed+uint64(i), slice)
			} else {
				fuzzed(nil, seed, slice)
			}
			for j, v := range slice {
				in.at(j)[i] = v
			}
		}
		before := append([]float64(nil), in.x...)
		for _, it := range Tiers()[min(1, len(Tiers())-1):] {
			onTier(it, func() {
				copy(in.x, before)
				testColumnKernels(t, &in, g*Group+int(gap/32), int(align/8%8))
				if t.Failed() {
					t.Logf("tier %v", it)
				}
			})
		}
	})
}

// FuzzPack packs raw bits and unpacks them.
func FuzzPack(f *testing.F) {
	f.Add(uint64(1), byte(9), byte(3), byte(0))
	f.Add(uint64(2), byte(63), byte(7), byte(2))
	f.Add(uint64(3), byte(0), byte(0), byte(9))
	f.Fuzz(func(t *testing.T, seed uint64, width, groups, gap byte) {
		cols, g := 1+int(width)%FewCols, 1+int(groups)%(Width/Group)
		stride, apart := cols+int(gap%16), g*Group+int(seed%3)*(Width-g*Group)/2
		r := rand.New(rand.NewPCG(seed, 63))
		in := newFenced((g*Group-1)*stride+cols, int(gap/16%8))
		testkit.FillWith(in.x, func() float64 { return math.Float64frombits(r.Uint64()) })
		for _, it := range Tiers() {
			onTier(it, func() {
				tile, back := newFenced(FewCols*Width, int(seed%8)), newFenced(len(in.x), int(seed/8%8))
				pack(tile.x, apart, in.x, stride, cols, g)
				unpack(back.x, stride, tile.x, apart, cols, g)
				for p, v := range back.x {
					want := canary
					if p%stride < cols {
						want = in.x[p]
					}
					if !testkit.Identical(v, want) {
						t.Fatalf("tier %v: entry %d of row %d of %d×%d is %#x, want %#x", it, p%stride, p/stride, g*Group, cols, math.Float64bits(v), math.Float64bits(want))
					}
				}
				if !in.intact() || !tile.intact() || !back.intact() {
					t.Fatalf("tier %v: wrote outside of %d×%d, stride %d", it, g*Group, cols, stride)
				}
			})
		}
	})
}
