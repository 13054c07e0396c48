// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// The gradient of a softmax, for p = e^logp and upstream u, is
//
//	p[c]·(u[c]·(1-p[c]) - Σ_{k≠c} p[k]·u[k])
//
// The terms p·u of the entries whose p is at most dominant are added up apart
// from those of the others, of which probabilities have one at most. Without
// entry c a sum is then what is left of it when the term of c is subtracted: of
// a sum of two words that leaves digits enough unless that entry is almost all
// there is, and then it is the only one of its sum.

// dominant is the probability above which 1-p is not formed from p.
const dominant = 0.75

// mostLogp is the largest entry that probabilities are formed of as of those
// that are log-probabilities, which are not above 0.
const mostLogp = 600

// momentTerm returns p·u, where 0 times anything is 0.
func momentTerm(p, u float64) float64 {
	if p == 0 {
		return 0
	}
	return float64(p * u)
}

// momentTermsGo sets p to e^logp, and terms to the terms of the entries that are
// not dominant, and 0 for others.
func momentTermsGo(p, terms, logp, u []float64) {
	for j, y := range logp {
		p[j] = probability(y)
		terms[j] = 0
		if !(p[j] > dominant) {
			terms[j] = momentTerm(p[j], u[j])
		}
	}
}

// largeMomentsGo adds to hi+lo the terms of the dominant ones of n entries of each
// slice of the groups, which lie in tiles.
func largeMomentsGo(hi, lo, p, u []float64, n, groups int) {
	for i := range groups * Group {
		sum := Accumulator{hi[i], lo[i]}
		for j := range n {
			if pj := p[j*Width+i]; pj > dominant {
				sum.Add(float64(pj * u[j*Width+i]))
			}
		}
		hi[i], lo[i] = sum.Hi, sum.Lo
	}
}

// softmaxGradRowGo sets dst to the gradient of entries. small is the sum of the
// terms of those that are not dominant, and large that of the others. dst may be
// any of the others.
func softmaxGradRowGo(dst, logp, p, u []float64, small, large Accumulator) {
	for j, pj := range p {
		dst[j] = softmaxGradOf(logp[j], pj, u[j], small, large)
	}
}

// softmaxGradColumnsGo is the same for rows of n entries, stride apart, of which
// each column has sums of its own.
func softmaxGradColumnsGo(dst, logp, p, u []float64, stride, rows, n int, hi, lo, large, largeLow []float64) {
	for i := range rows {
		for j := range n {
			at := i*stride + j
			dst[at] = softmaxGradOf(logp[at], p[at], u[at], Accumulator{hi[j], lo[j]}, Accumulator{large[j], largeLow[j]})
		}
	}
}

func softmaxGradOf(logp, p, u float64, small, large Accumulator) float64 {
	if p > dominant {
		return dominantGrad(p, complementOf(logp), u, small, large)
	}
	return softmaxGradEntry(p, u, small.Hi, small.Lo, large.Hi)
}

func softmaxGradEntry(p, u, hi, lo, large float64) float64 {
	if p == 0 {
		return 0
	}
	others := ((hi - float64(p*u)) + lo) + large
	return Canonical(float64(p * (float64(u*(1-p)) - others)))
}

// dominantGrad returns the gradient of an entry that is dominant, of which
// complement is 1-p. small is the sum of the terms of the entries that are not,
// and large that of those that are.
func dominantGrad(p, complement, u float64, small, large Accumulator) float64 {
	own := 0.0
	if complement != 0 {
		own = float64(u * complement)
	}
	others := (((large.Hi - float64(p*u)) + large.Lo) + small.Lo) + small.Hi
	return Canonical(float64(p * (own - others)))
}

// complementOf returns 1 - e^y, as LogSoftmaxGrad forms it.
func complementOf(y float64) float64 {
	e := newExponential(y)
	return e.complement + e.complementLow
}

// probability returns e^y, within 0.6 ulp of what it stands for but where that
// is below the normal numbers.
func probability(y float64) float64 {
	switch {
	case y != y:
		return NaN
	case y > mostExponent:
		return math.Inf(1)
	case y > mostLogp:
		f := frame{magic: magic - 16}
		return float64(f.term(y) * 2)
	case y < -farthest:
		return 0
	}
	f := frame{magic: magic + 16*scaleBits}
	return float64(f.term(y) * Unscale)
}

// SoftmaxGradRow sets dst to the gradient of a slice. p and terms are room for
// as many entries. dst may be logp or u.
func SoftmaxGradRow(dst, logp, u, p, terms []float64) {
	var m RowMoments
	if len(p) > PieceLen {
		m.Add(logp, u, p, terms)
		m.setGradient(dst, logp, u, p, m.small.Sum())
		return
	}
	momentTerms(p, terms, logp, u)
	m.addLarge(p, u)
	softmaxGradRow(dst, logp, p, u, SumOf(terms), m.large)
}

// RowMoments are the sums of the terms of a slice that comes in pieces, of
// multiples of BlockLen entries but for the last.
type RowMoments struct {
	small CoefficientSum
	large Accumulator
}

// Add adds the terms of a piece. It sets p to its probabilities and uses terms.
func (m *RowMoments) Add(logp, u, p, terms []float64) {
	for i := 0; i < len(p); i += PieceLen {
		end := min(len(p), i+PieceLen)
		p, terms, logp, u := p[i:end], terms[i:end], logp[i:end], u[i:end]
		momentTerms(p, terms, logp, u)
		m.small.Add(terms)
		m.addLarge(p, u)
	}
}

// addLarge adds the terms of the dominant entries.
func (m *RowMoments) addLarge(p, u []float64) {
	if MaxOf(p) <= dominant {
		return
	}
	for ; len(p) > 0; p, u = p[min(len(p), BlockLen):], u[min(len(p), BlockLen):] {
		block := p[:min(len(p), BlockLen)]
		if MaxOf(block) <= dominant {
			continue
		}
		// In registers, where terms follow each other.
		hi, lo := m.large.Hi, m.large.Lo
		for j, pj := range block {
			if pj > dominant {
				sum, rest := TwoSum(hi, momentTerm(pj, u[j]))
				hi, lo = sum, lo+rest
			}
		}
		m.large = Accumulator{hi, lo}
	}
}

// SetGradient sets dst to the gradient of a piece, all of which have been added.
// It uses p and terms. dst may be logp or u.
func (m *RowMoments) SetGradient(dst, logp, u, p, terms []float64) {
	for i := 0; i < len(p); i += PieceLen {
		end := min(len(p), i+PieceLen)
		momentTerms(p[i:end], terms[i:end], logp[i:end], u[i:end])
	}
	m.setGradient(dst, logp, u, p, m.small.Sum())
}

// setGradient is SetGradient where p are the probabilities.
func (m *RowMoments) setGradient(dst, logp, u, p []float64, small Accumulator) {
	for i := 0; i < len(p); i += PieceLen {
		end := min(len(p), i+PieceLen)
		softmaxGradRow(dst[i:end], logp[i:end], p[i:end], u[i:end], small, m.large)
	}
}

// Moments are the sums of the terms of up to Width slices that lie side by side
// in tiles, and what it takes to form them. SoftmaxGradRow is what is done to
// each.
type Moments struct {
	LogP, U, P, terms Tile
	small             Panel // sums in lane 0, or in all lanes
	low               LowSums
	large, largeLow   [Width]float64
	dominants         int // rows in P, or all of them, that have some
}

// Reset prepares for the sums of n slices.
func (m *Moments) Reset(n int) {
	m.small.ClearSums(GroupsFor(n))
	m.low.Clear()
	clear(m.large[:])
	clear(m.largeLow[:])
}

// SetTerms sets P to the probabilities of rows ≤ BlockLen entries of n slices in
// LogP, and forms their terms.
func (m *Moments) SetTerms(rows, n int) {
	width := GroupsFor(n) * Group
	step := 1
	if width == Width {
		step = rows
	}
	m.dominants = 0
	for j := 0; j < rows; j += step {
		at, end := j*Width, (j+step-1)*Width+width
		p := m.P[at:end]
		momentTerms(p, m.terms[at:end], m.LogP[at:end], m.U[at:end])
		if !(MaxOf(p) <= dominant) {
			m.dominants++
		}
	}
}

// Add adds the terms to the sums.
func (m *Moments) Add(rows, n int) {
	m.small.Add(m.terms[:], Width, rows, n)
	m.small.TakeLow(&m.low, GroupsFor(n))
	m.addLarge(rows, n)
}

func (m *Moments) addLarge(rows, n int) {
	if m.dominants > 0 {
		largeMoments(m.large[:], m.largeLow[:], m.P[:], m.U[:], rows, GroupsFor(n))
	}
}

// Join ends the sums of n slices.
func (m *Moments) Join(n int) { m.small.JoinLow(&m.low, GroupsFor(n)) }

// Sum is Reset, Add and Join of slices of rows ≤ BlockLen entries.
func (m *Moments) Sum(rows, n int) {
	clear(m.large[:])
	clear(m.largeLow[:])
	m.small.SumSlices(m.terms[:], rows, GroupsFor(n))
	m.addLarge(rows, n)
}

// SetGradient sets LogP to the gradient, given the sums.
func (m *Moments) SetGradient(rows, n int) {
	softmaxGradColumns(m.LogP[:], m.LogP[:], m.P[:], m.U[:], Width, rows, GroupsFor(n)*Group, m.small.Hi[0][:], m.small.Lo[0][:], m.large[:], m.largeLow[:])
}
