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

// softmaxGradGo sets dst to the gradient of entries that are not dominant; of
// others it is open. hi+lo is the sum of the terms of such entries, and large
// that of the others. dst may be p or u.
func softmaxGradGo(dst, p, u []float64, hi, lo, large float64) {
	for j, pj := range p {
		dst[j] = softmaxGradEntry(pj, u[j], hi, lo, large)
	}
}

// columnsSoftmaxGradGo is softmaxGradGo with sums for every entry.
func columnsSoftmaxGradGo(dst, p, u, hi, lo, large []float64) {
	for j, pj := range p {
		dst[j] = softmaxGradEntry(pj, u[j], hi[j], lo[j], large[j])
	}
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

// complementOf returns 1 - e^y. It is what LogSoftmaxGrad gives for an upstream
// gradient of 1 where there is no other, so that there is a kernel for it.
func complementOf(y float64) float64 { return vectorJacobianEntry(y, 1, 1, 0) }

// complementsOf sets dst to what complementOf returns, for at most Width entries.
func complementsOf(dst, y []float64) { VectorJacobianOf(dst, y, ones[:len(y)], 1, 0) }

var ones = func() (x [Width]float64) {
	Fill(x[:], 1)
	return x
}()

// probability returns e^y, within 0.6 ulp of what it stands for but where that
// is below the normal numbers.
func probability(y float64) float64 {
	switch {
	case y != y:
		return NaN
	case y > 710:
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
	m.Add(logp, u, p, terms)
	m.setGradient(dst, logp, u, p, terms)
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
		if MaxOf(p) <= dominant {
			continue
		}
		for j, pj := range p {
			if pj > dominant {
				m.large.Add(momentTerm(pj, u[j]))
			}
		}
	}
}

// SetGradient sets dst to the gradient of a piece, all of which have been added.
// It uses p and terms. dst may be logp or u.
func (m *RowMoments) SetGradient(dst, logp, u, p, terms []float64) {
	for i := 0; i < len(p); i += PieceLen {
		end := min(len(p), i+PieceLen)
		momentTerms(p[i:end], terms[i:end], logp[i:end], u[i:end])
	}
	m.setGradient(dst, logp, u, p, terms)
}

// setGradient is SetGradient where p are the probabilities.
func (m *RowMoments) setGradient(dst, logp, u, p, terms []float64) {
	small := m.small.Sum()
	for i := 0; i < len(p); i += PieceLen {
		end := min(len(p), i+PieceLen)
		dst, logp, u, p, terms := dst[i:end], logp[i:end], u[i:end], p[i:end], terms[i:end]
		if MaxOf(p) <= dominant {
			softmaxGrad(dst, p, u, small.Hi, small.Lo, m.large.Hi)
			continue
		}
		for j, pj := range p {
			if pj > dominant {
				terms[j] = dominantGrad(pj, complementOf(logp[j]), u[j], small, m.large)
			}
		}
		softmaxGrad(dst, p, u, small.Hi, small.Lo, m.large.Hi)
		for j, pj := range p {
			if pj > dominant {
				dst[j] = terms[j]
			}
		}
	}
}

// Moments are the sums of the terms of up to Width slices that lie side by side
// in tiles, and what it takes to form them. SoftmaxGradRow is what is done to
// each.
type Moments struct {
	LogP, U, P, terms Tile
	small             Panel // sums in lane 0, or in all lanes
	low               LowSums
	large             [Width]Accumulator
	largeHi           [Width]float64
	// dominant are the places of the dominant entries of the block in the tiles,
	// so many.
	dominant  [len(Tile{})]uint16
	dominants int
}

// Reset prepares for the sums of n slices.
func (m *Moments) Reset(n int) {
	m.small.ClearSums(GroupsFor(n))
	m.low.Clear()
	clear(m.large[:])
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
		if MaxOf(p) <= dominant {
			continue
		}
		for i, v := range p {
			if v > dominant {
				m.dominant[m.dominants] = uint16(at + i)
				m.dominants++
			}
		}
	}
}

// Add adds the terms to the sums.
func (m *Moments) Add(rows, n int) {
	m.small.Add(m.terms[:], Width, rows, n)
	m.small.TakeLow(&m.low, GroupsFor(n))
	for _, at := range m.dominant[:m.dominants] {
		m.large[at%Width].Add(momentTerm(m.P[at], m.U[at]))
	}
}

// Join ends the sums of n slices.
func (m *Moments) Join(n int) {
	m.small.JoinLow(&m.low, GroupsFor(n))
	for i, l := range m.large {
		m.largeHi[i] = l.Hi
	}
}

// SetGradient sets LogP to the gradient, given the sums.
func (m *Moments) SetGradient(rows, n int) {
	var y, complement [Width]float64
	for places := m.dominant[:m.dominants]; len(places) > 0; {
		some := places[:min(len(places), Width)]
		for k, at := range some {
			y[k] = m.LogP[at]
		}
		complementsOf(complement[:len(some)], y[:len(some)])
		for k, at := range some {
			i := at % Width
			small := Accumulator{m.small.Hi[0][i], m.small.Lo[0][i]}
			m.terms[at] = dominantGrad(m.P[at], complement[k], m.U[at], small, m.large[i])
		}
		places = places[len(some):]
	}
	width := GroupsFor(n) * Group
	for j := range rows {
		p := m.P[j*Width:][:width]
		columnsSoftmaxGrad(m.LogP[j*Width:][:width], p, m.U[j*Width:][:width], m.small.Hi[0][:], m.small.Lo[0][:], m.largeHi[:])
	}
	for _, at := range m.dominant[:m.dominants] {
		m.LogP[at] = m.terms[at]
	}
}
