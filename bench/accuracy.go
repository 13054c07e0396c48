// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"

	"example.org/logsoftmax/internal/exact"
)

// Quantity is a result whose accuracy is measured.
type Quantity string

const (
	LargestLogProb Quantity = "log-probability of the largest logit"
	OtherLogProb   Quantity = "all other log-probabilities"
	MeanLoss       Quantity = "mean loss of the rows"
	TargetGradient Quantity = "gradient of the target"
	OtherGradient  Quantity = "all other gradients"
)

var quantities = []Quantity{LargestLogProb, OtherLogProb, MeanLoss, TargetGradient, OtherGradient}

// SampleError is the largest error in ulp of a peer in a sample of rows.
type SampleError struct {
	Quantity Quantity
	Sample   string
	Peer     string
	ULP      ulpError
}

// ZeroLoss is how many of the losses of dominant logits come out as exactly 0,
// which none of them is.
type ZeroLoss struct {
	Peer       string
	Zero, Rows int
}

// GapError is the largest error of the loss of a logit that is larger by Gap
// than the next.
type GapError struct {
	Peer string
	Gap  float64
	ULP  ulpError
}

// ulpError is an error in ulp; -1 stands for a result that is not finite, since
// JSON has no infinity.
type ulpError float64

// noDigit is the error of a result none of whose digits is right: 0, say.
const noDigit = 0x1p51

// worse returns the larger of e and the error of got.
func (e ulpError) worse(got float64, want *big.Float) ulpError {
	u := ulpError(exact.Error(got, want, want))
	switch {
	case e < 0 || math.IsInf(float64(u), 0):
		return -1
	case u > e:
		return u
	}
	return e
}

// rounded keeps three digits: more of a largest error says nothing.
func (e ulpError) rounded() ulpError {
	var f float64
	_, _ = fmt.Sscanf(fmt.Sprintf("%.3g", float64(e)), "%g", &f)
	return ulpError(f)
}

// sample is a batch with the exact functions of each row.
type sample struct {
	name string
	*Batch
	exact []exact.Row
}

func newSample(name string, b *Batch) sample {
	s := sample{name: name, Batch: b}
	for i := range b.Rows {
		s.exact = append(s.exact, exact.NewRow(b.X[i*b.Cols:(i+1)*b.Cols]))
	}
	return s
}

// meanLoss returns the exact mean of the rows' losses.
func (s *sample) meanLoss() *big.Float {
	sum := exact.New()
	for i, t := range s.Target {
		sum.Sub(sum, s.exact[i].LogProb[t])
	}
	return sum.Quo(sum, exact.Float(float64(s.Rows)))
}

const dominantSample = "one dominant logit"

// samples returns the rows on which accuracy is measured. The gaps of the
// dominant logits are spread evenly over 0 to 700, beyond which losses have no
// full digits in float64. The numbers of rows are powers of two: the mean of
// gradients is as exact as they are.
func samples(quick bool) []sample {
	rows := 64
	if quick {
		rows = 8
	}
	var list []sample
	for i, sigma := range []float64{1, 10, 100} {
		b := NormalBatch(rand.New(rand.NewPCG(3, uint64(i))), Shape{Rows: rows, Cols: 1000}, sigma)
		list = append(list, newSample(fmt.Sprintf("N(0, %g)", sigma), b))
	}
	gaps := make([]float64, 16*rows)
	for i := range gaps {
		gaps[i] = 700 * float64(i+1) / float64(len(gaps))
	}
	return append(list, newSample(dominantSample, dominantBatch(gaps)))
}

// dominantBatch returns a row of 10 logits for each gap: N(0, 1), with one of
// them larger than the next by about the gap.
func dominantBatch(gaps []float64) *Batch {
	rng := rand.New(rand.NewPCG(4, 0))
	b := NormalBatch(rng, Shape{Rows: len(gaps), Cols: 10}, 1)
	for i, gap := range gaps {
		x := b.X[i*b.Cols : (i+1)*b.Cols]
		x[b.Target[i]] = x[argmax(x)] + gap + rng.Float64()/16
	}
	return b
}

// measureErrors compares log-softmax, mean loss and gradient of all peers that
// have them with the exact ones.
func measureErrors(peers []Peer, samples []sample, bar *bar) ([]SampleError, []ZeroLoss, error) {
	var errs []SampleError
	var zeros []ZeroLoss
	for _, s := range samples {
		bar.describe("accuracy, " + s.name)
		note := func(q Quantity, peer string, e ulpError) {
			errs = append(errs, SampleError{q, s.name, peer, e.rounded()})
		}
		err := forEachResult(peers, s.Batch, LogSoftmaxRows, func(peer string, _ float64, out []float64) {
			var largest, others ulpError
			zero := ZeroLoss{Peer: peer, Rows: s.Rows}
			for i := range s.exact {
				at := argmax(s.X[i*s.Cols : (i+1)*s.Cols])
				for j, want := range s.exact[i].LogProb {
					got := out[i*s.Cols+j]
					if j != at {
						others = others.worse(got, want)
						continue
					}
					largest = largest.worse(got, want)
					if got == 0 {
						zero.Zero++
					}
				}
			}
			note(LargestLogProb, peer, largest)
			note(OtherLogProb, peer, others)
			if s.name == dominantSample {
				zeros = append(zeros, zero)
			}
		})
		if err != nil {
			return nil, nil, err
		}
		loss := s.meanLoss()
		err = forEachResult(peers, s.Batch, CrossEntropy, func(peer string, got float64, _ []float64) {
			note(MeanLoss, peer, ulpError(0).worse(got, loss))
		})
		if err != nil {
			return nil, nil, err
		}
		n := exact.Float(float64(s.Rows))
		err = forEachResult(peers, s.Batch, CrossEntropyGrad, func(peer string, _ float64, out []float64) {
			var target, others ulpError
			for i, t := range s.Target {
				for j := range s.Cols {
					got, want := out[i*s.Cols+j], exact.New()
					if j == t {
						want.Quo(want.Neg(s.exact[i].Complement[j]), n)
						target = target.worse(got, want)
					} else {
						want.Quo(s.exact[i].Prob[j], n)
						others = others.worse(got, want)
					}
				}
			}
			note(TargetGradient, peer, target)
			note(OtherGradient, peer, others)
		})
		if err != nil {
			return nil, nil, err
		}
		bar.step()
	}
	return errs, zeros, nil
}

// measureGaps measures the error of the dominant logit's loss by its gap.
func measureGaps(peers []Peer, bar *bar) ([]GapError, error) {
	const points, rows = 36, 16
	var gaps []float64
	for i := range points {
		gap := math.Pow(700, float64(i)/(points-1)) // 1 to 700
		for range rows {
			gaps = append(gaps, gap)
		}
	}
	bar.describe("accuracy, by gap")
	s := newSample("", dominantBatch(gaps))
	var errs []GapError
	err := forEachResult(peers, s.Batch, LogSoftmaxRows, func(peer string, _ float64, out []float64) {
		for i := 0; i < len(gaps); i += rows {
			e := GapError{Peer: peer, Gap: round3(gaps[i])}
			for k := i; k < i+rows; k++ {
				at := s.Target[k]
				e.ULP = e.ULP.worse(out[k*s.Cols+at], s.exact[k].LogProb[at])
			}
			e.ULP = e.ULP.rounded()
			errs = append(errs, e)
		}
	})
	bar.step()
	return errs, err
}

// forEachResult calls f with what each peer that has op makes of b.
func forEachResult(peers []Peer, b *Batch, op Op, f func(peer string, loss float64, out []float64)) error {
	for _, p := range peers {
		if p.load == nil || p.Floor {
			continue
		}
		w, err := p.load(b)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if !w.Has(op) {
			w.Close()
			continue
		}
		for i := range b.Dst {
			b.Dst[i] = 1 // no result: what a peer does not write must not be another's
		}
		loss, out, err := w.Result(op)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		f(p.Name, loss, out)
		w.Close()
	}
	return nil
}

// argmax returns the index of the first of the largest elements.
func argmax(x []float64) int {
	at := 0
	for j, v := range x {
		if v > x[at] {
			at = j
		}
	}
	return at
}
