// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"math"

	"example.org/logsoftmax/internal/exact"
)

// HardRow is what a peer returns for rows that are easy to get wrong: nothing
// where it is right, otherwise what is wrong.
type HardRow struct {
	Row   string
	Peer  string
	Wrong string
}

// hardTolerance is relative. How many digits are right is the other table's
// matter; here results are wrong that are of no use.
const hardTolerance = 1e-5

// hardCase is a row and what its log-softmax should be.
type hardCase struct {
	name    string
	x, want []float64
}

func hardCases() []hardCase {
	inf, nan := math.Inf(1), math.NaN()
	big := []float64{1e15, 1e15 + 1, 1e15 + 2}
	return []hardCase{
		{"0, -50", []float64{0, -50}, exactFloats([]float64{0, -50})},
		{"-Inf, 0, 1", []float64{-inf, 0, 1}, append([]float64{-inf}, exactFloats([]float64{0, 1})...)},
		{"1e15 + (0, 1, 2)", big, exactFloats(big)},
		{"1e308, 1e308, -1e308", []float64{1e308, 1e308, -1e308}, []float64{-math.Ln2, -math.Ln2, -inf}},
		{"0, +Inf, 1", []float64{0, inf, 1}, []float64{nan, nan, nan}},
		{"all -Inf", []float64{-inf, -inf, -inf}, []float64{nan, nan, nan}},
	}
}

func exactFloats(x []float64) []float64 {
	y := make([]float64, len(x))
	for j, e := range exact.NewRow(x).LogProb {
		y[j], _ = e.Float64()
	}
	return y
}

// Rows with one NaN, in any place of rows of these lengths: about the widths of
// vectors, where it gets lost.
const nanName = "NaN in any place"

var nanLengths = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65}

// measureHard sees what each peer makes of the hard rows.
func measureHard(peers []Peer, bar *bar) ([]HardRow, error) {
	bar.describe("hard rows")
	var list []HardRow
	for _, c := range hardCases() {
		err := forEachResult(peers, rowBatch(c.x), LogSoftmaxRows, func(peer string, _ float64, out []float64) {
			list = append(list, HardRow{c.name, peer, firstWrong(out, c.want)})
		})
		if err != nil {
			return nil, err
		}
	}
	missed, places := make(map[string]int), 0
	for _, n := range nanLengths {
		b := NewBatch(Shape{Rows: n, Cols: n})
		for i := range n {
			b.X[i*n+i] = math.NaN()
		}
		places += n
		err := forEachResult(peers, b, LogSoftmaxRows, func(peer string, _ float64, out []float64) {
			missed[peer] += 0 // has log-softmax
			for i := range n {
				for _, v := range out[i*n : (i+1)*n] {
					if !math.IsNaN(v) {
						missed[peer]++
						break
					}
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for _, p := range peers {
		h := HardRow{Row: nanName, Peer: p.Name}
		n, has := missed[p.Name]
		if !has {
			continue
		}
		if n > 0 {
			h.Wrong = fmt.Sprintf("lost in %d of %d", n, places)
		}
		list = append(list, h)
	}
	bar.step()
	return list, nil
}

// rowBatch returns a batch of one row.
func rowBatch(x []float64) *Batch {
	b := NewBatch(Shape{Rows: 1, Cols: len(x)})
	copy(b.X, x)
	return b
}

// firstWrong names the first element of got that is not what it should be.
func firstWrong(got, want []float64) string {
	for j, w := range want {
		g := got[j]
		switch {
		case math.IsNaN(g) && math.IsNaN(w), g == w:
		case math.Abs(g-w) <= hardTolerance*math.Abs(w) && !math.IsInf(w, 0):
		default:
			return fmt.Sprintf("%s for %s", short(g), short(w))
		}
	}
	return ""
}

// short writes a value in three digits.
func short(x float64) string {
	if x == 0 {
		return "0"
	}
	return fmt.Sprintf("%.3g", x)
}
