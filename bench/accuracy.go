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

// SampleError is how far a peer's log-probabilities are from the exact ones in
// a sample of rows: the largest error in ulp, for the largest logit of each row
// and for all others, and how many losses of the largest logit come out as
// exactly 0, which none of them is.
type SampleError struct {
	Sample           string
	Peer             string
	Dominant, Others ulpError
	Zero, Rows       int
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

// sample is a batch with its exact log-softmax for each row.
type sample struct {
	name string
	*Batch
	exact [][]*big.Float
}

func newSample(name string, b *Batch) sample {
	s := sample{name: name, Batch: b}
	for i := range b.Rows {
		s.exact = append(s.exact, exact.NewRow(b.X[i*b.Cols:(i+1)*b.Cols]).LogProb)
	}
	return s
}

const dominantSample = "one dominant logit"

// samples returns the rows on which accuracy is measured. The gaps of the
// dominant logits are spread evenly over 0 to 700, beyond which losses have no
// full digits in float64.
func samples(quick bool) []sample {
	rows := 64
	if quick {
		rows = 8
	}
	var list []sample
	for i, sigma := range []float64{1, 10, 100} {
		b := NormalBatch(rand.New(rand.NewPCG(3, uint64(i))), rows, 1000, sigma)
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
	b := NormalBatch(rng, len(gaps), 10, 1)
	for i, gap := range gaps {
		x := b.X[i*b.Cols : (i+1)*b.Cols]
		x[b.Target[i]] = x[argmax(x)] + gap + rng.Float64()/16
	}
	return b
}

// measureErrors compares the log-softmax of all peers with the exact one.
func measureErrors(peers []Peer, samples []sample, bar *bar) ([]SampleError, error) {
	var errs []SampleError
	for _, s := range samples {
		bar.describe("accuracy, " + s.name)
		err := forEachResult(peers, s.Batch, func(peer string, out []float64) {
			e := SampleError{Sample: s.name, Peer: peer, Rows: s.Rows}
			for i, exact := range s.exact {
				at := argmax(s.X[i*s.Cols : (i+1)*s.Cols])
				for j, want := range exact {
					got := out[i*s.Cols+j]
					if j != at {
						e.Others = e.Others.worse(got, want)
						continue
					}
					e.Dominant = e.Dominant.worse(got, want)
					if got == 0 {
						e.Zero++
					}
				}
			}
			e.Dominant, e.Others = e.Dominant.rounded(), e.Others.rounded()
			errs = append(errs, e)
		})
		if err != nil {
			return nil, err
		}
		bar.step()
	}
	return errs, nil
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
	err := forEachResult(peers, s.Batch, func(peer string, out []float64) {
		for i := 0; i < len(gaps); i += rows {
			e := GapError{Peer: peer, Gap: round3(gaps[i])}
			for k := i; k < i+rows; k++ {
				at := s.Target[k]
				e.ULP = e.ULP.worse(out[k*s.Cols+at], s.exact[k][at])
			}
			e.ULP = e.ULP.rounded()
			errs = append(errs, e)
		}
	})
	bar.step()
	return errs, err
}

// forEachResult calls f with the log-softmax of the rows of b by each peer.
func forEachResult(peers []Peer, b *Batch, f func(peer string, out []float64)) error {
	for _, p := range peers {
		if p.load == nil || p.Floor {
			continue
		}
		w, err := p.load(b)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		for i := range b.Dst {
			b.Dst[i] = 1 // no result: what a peer does not write must not be another's
		}
		_, out, err := w.Result(LogSoftmaxRows)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		f(p.Name, out)
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
