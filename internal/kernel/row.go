// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// The kernels, in Go: what every tier of assembly does, bit for bit. Those of
// this file that are named …Go are reached through a function without that
// suffix, which picks the tier.
//
// The order of a sum of exponentials is the same for every tier and layout:
// entry j of a slice belongs to chunk j/ChunkLen, there to block
// (j mod ChunkLen)/BlockLen, and to lane j mod 8. A lane adds up, in order,
// the parts s and s·q of its terms apart: the s by TwoSum; the s·q and what
// TwoSum lost by plain additions, which start anew with every block, for they
// are small but would all round the same way where all terms are equal. An
// entry equal to the chunk's maximum counts and is not added. In the end lane
// l is joined with l+4, l+2 and l+1, and the chunks in order by
// partial.merge. Lanes may so be vector lanes, rows or columns.
//
// A slice of at most BlockLen entries, of which many are worked on at once, is
// a single lane, in which the low words start anew with every eight entries.
const (
	Lanes    = 8
	BlockLen = 64
	ChunkLen = 2048

	// PieceLen is how many entries a kernel does at most in a call: assembly
	// cannot be interrupted, and a garbage collection that is to begin holds
	// up the whole program until it returns.
	PieceLen = 8 * ChunkLen
)

// maxOfGo returns the largest entry, NaN if there is a NaN, -Inf for none.
func maxOfGo(x []float64) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		if !(v <= m) {
			if v != v {
				return NaN
			}
			m = v
		}
	}
	return m
}

// expSumGo returns how many of the entries of a chunk equal its maximum, and
// the sum hi+lo of the terms of the others in the maximum's frame; lo is up
// to 0.022 of hi. Where dst is not nil it receives the terms of all entries;
// it may be x.
func expSumGo(dst, x []float64, max float64) (count, hi, lo float64) {
	f := newFrame(max)
	var sum, rest [Lanes]float64
	for len(x) > 0 {
		n := min(len(x), BlockLen)
		var low [Lanes]float64
		for j, xj := range x[:n] {
			l := j % Lanes
			s, q := f.parts(clamp(xj-f.shift, f.lower))
			if dst != nil {
				dst[j] = math.FMA(s, q, s)
			}
			if xj == max {
				count++
				continue
			}
			sum[l], low[l] = addParts(sum[l], low[l], s, q)
		}
		for l := range Lanes {
			rest[l] += low[l]
		}
		x = x[n:]
		if dst != nil {
			dst = dst[n:]
		}
	}
	hi, lo = joinLanes(&sum, &rest)
	return count, hi, lo
}

// laneTotalGo is expSumGo for a slice of at most BlockLen entries that is a
// single lane.
func laneTotalGo(dst, x []float64, max float64) (count, hi, lo float64) {
	f := newFrame(max)
	var low float64
	for j, xj := range x {
		if j%Lanes == 0 {
			lo, low = lo+low, 0
		}
		s, q := f.parts(clamp(xj-f.shift, f.lower))
		if dst != nil {
			dst[j] = math.FMA(s, q, s)
		}
		if xj == max {
			count++
			continue
		}
		hi, low = addParts(hi, low, s, q)
	}
	return count, hi, lo + low
}

// clamp returns the larger of y and lower, and lower for NaN.
func clamp(y, lower float64) float64 {
	if !(y >= lower) {
		return lower
	}
	return y
}

// addParts adds the term s + s·q to a lane.
func addParts(sum, low, s, q float64) (newSum, newLow float64) {
	low = math.FMA(s, q, low)
	newSum, r := TwoSum(sum, s)
	return newSum, low + r
}

// joinLanes adds up the lanes' sums.
func joinLanes(sum, rest *[Lanes]float64) (hi, lo float64) {
	for half := Lanes / 2; half > 0; half /= 2 {
		for l := range half {
			s, r := TwoSum(sum[l], sum[l+half])
			sum[l], rest[l] = s, (rest[l]+rest[l+half])+r
		}
	}
	return sum[0], rest[0]
}

// shiftByGo sets dst[j] to x[j]-max+negLogSum: log-probabilities. dst may be x.
func shiftByGo(dst, x []float64, max, negLogSum float64) {
	if negLogSum != negLogSum {
		Fill(dst, NaN)
		return
	}
	for j, v := range x {
		dst[j] = negLogSum + (v - max)
	}
}

func Fill(dst []float64, v float64) {
	for j := range dst {
		dst[j] = v
	}
}

// scaleByGo multiplies x by a factor, leaving no -0. The one NaN stays what it
// is, which not every processor's product does.
func scaleByGo(x []float64, factor float64) {
	if factor != factor {
		Fill(x, NaN)
		return
	}
	for j, v := range x {
		x[j] = Canonical(float64(v * factor))
	}
}

// chunks is how many chunks n entries are.
func Chunks(n int) int { return (n + ChunkLen - 1) / ChunkLen }

// chunkOf returns the entries of a chunk.
func ChunkOf(x []float64, chunk int) []float64 {
	return x[chunk*ChunkLen : min(len(x), (chunk+1)*ChunkLen)]
}

// ChunkPartial returns the partial of a chunk of x, whose terms go to the
// same chunk of terms where that is not nil. out is where the row's result
// will be written, and next the row after it, to be prefetched if not nil.
func ChunkPartial(terms, x, out, next []float64, chunk int) Partial {
	if end := (chunk + 1) * ChunkLen; end < len(x) {
		next = x[end:]
	}
	x = ChunkOf(x, chunk)
	if terms != nil {
		terms = ChunkOf(terms, chunk)
	}
	if out != nil {
		out = ChunkOf(out, chunk)
	}
	m := MaxOf(x)
	if !IsFinite(m) {
		if terms != nil {
			Fill(terms, 0)
		}
		return Partial{Max: m}
	}
	count, hi, lo := ExpSumAhead(terms, x, m, next, out)
	return newPartial(m, count, hi, lo)
}

// certain is what the sum of the other probabilities is less than where that of
// the only largest entry is next to 1. Its roundings would now and then make it
// more; it is 1 less that sum instead.
const Certain = 0x1p-50

// ScaleTermsBy multiplies terms by three factors, at once where no digits are
// lost by it.
func ScaleTermsBy(terms []float64, first, second, g float64) {
	if second == 1 && Combines(g) {
		first, g = float64(first*g), 1
	}
	scaleBy(terms, first)
	if second != 1 {
		scaleBy(terms, second)
	}
	if second != 1 || g != 1 {
		scaleBy(terms, g)
	}
}

// combines reports whether a factor that makes probabilities of terms, some
// 2^-128 down to 2^-700, may be multiplied by g before it is used.
func Combines(g float64) bool {
	g = math.Abs(g)
	return g >= leastCombined && g <= mostCombined || g == 0
}

const leastCombined, mostCombined = 0x1p-300, 0x1p64
