// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"math"
	"slices"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/mat"
)

// Labels returns the elements of v, a column of a data file say, as labels.
// A nil dst is allocated; any other must have the length of v.
//
// It panics, in this order: with a string if v is nil or has less storage than
// its shape; with mat.ErrZeroLength if it is empty; and with mat.ErrShape if
// dst is neither nil nor of the length of v. It returns a *ValueError for the
// first element that is not a whole number, or not one that an int can hold;
// dst is then not written.
func Labels(dst []int, v mat.Vector) ([]int, error) {
	checkMatrix("Labels", "v", v)
	n := v.Len()
	if n == 0 {
		panic(mat.ErrZeroLength)
	}
	if dst != nil && len(dst) != n {
		panic(mat.ErrShape)
	}
	for i := range n {
		// math.MinInt is a power of two, which -math.MaxInt is not.
		if x := v.AtVec(i); !(x >= math.MinInt && x < -math.MinInt) || x != math.Trunc(x) {
			return nil, &ValueError{Name: "label", Row: i, Col: -1, Value: x}
		}
	}
	if dst == nil {
		dst = make([]int, n)
	}
	for i := range dst {
		dst[i] = int(v.AtVec(i))
	}
	return dst, nil
}

// ignoredLabels are the labels of a batch whose rows do not count.
type ignoredLabels struct {
	classes int
	// Bits of the labels up to 63, those that are no classes among them, and,
	// where a class beyond is ignored, of all classes.
	first uint64
	all   []uint64
	// outside is that a label of the batch is no class.
	outside bool
}

// none reports that no row is ignored for its label.
func (g *ignoredLabels) none() bool {
	return !g.outside && g.first<<max(0, 64-g.classes) == 0 && g.all == nil
}

// has reports whether rows with label y do not count.
func (g *ignoredLabels) has(y int) bool { return g.one(y) != 0 }

// one returns 1 where has is true, else 0: of the first labels, without a
// branch that goes either way.
func (g *ignoredLabels) one(y int) int {
	if uint(y) < 64 {
		return int(g.first >> uint(y) & 1)
	}
	return g.oneBeyond(y)
}

func (g *ignoredLabels) oneBeyond(y int) int {
	switch {
	case uint(y) >= uint(g.classes):
		return 1
	case g.all == nil:
		return 0
	}
	return int(g.all[y/64] >> (y % 64) & 1)
}

// check sets g, which is empty, to the labels of the given list, or returns a
// *TargetError for the first label that is neither a class nor ignored. A row
// whose sample weight is 0 is checked as any other.
func (g *ignoredLabels) check(target []int, classes int, ignore []int) error {
	g.classes = classes
	if classes < 64 {
		g.first = math.MaxUint64 << classes
	}
	for _, v := range ignore {
		switch {
		case uint(v) >= uint(classes):
		case v < 64:
			g.first |= 1 << v
		case g.all == nil:
			g.all = make([]uint64, (classes+63)/64)
			fallthrough
		default:
			g.all[v/64] |= 1 << (v % 64)
		}
	}
	if areClasses(target, classes) {
		return nil
	}
	g.outside = true
	if len(ignore) > 8 {
		ignore = slices.Sorted(slices.Values(ignore))
	}
	for i, y := range target {
		if uint(y) < uint(classes) {
			continue
		}
		found := false
		if len(ignore) > 8 {
			_, found = slices.BinarySearch(ignore, y)
		} else {
			found = slices.Contains(ignore, y)
		}
		if !found {
			return &TargetError{Row: i, Target: y, Classes: classes}
		}
	}
	return nil
}

// areClasses reports whether all labels are classes.
func areClasses(target []int, classes int) bool {
	for len(target) >= 8 {
		t := (*[8]int)(target)
		if max(uint(t[0]), uint(t[1]), uint(t[2]), uint(t[3]), uint(t[4]), uint(t[5]), uint(t[6]), uint(t[7])) >= uint(classes) {
			return false
		}
		target = target[8:]
	}
	for _, y := range target {
		if uint(y) >= uint(classes) {
			return false
		}
	}
	return true
}

// counts reports whether a row with the given label counts.
func (s *settings) counts(row, target int) bool {
	return !s.ignored.has(target) && s.countsSoft(row)
}

// countsSoft reports whether a row counts whose target is a distribution.
func (s *settings) countsSoft(row int) bool {
	return s.sampleWeight == nil || s.sampleWeight[row] != 0
}

// checkSoftTargets returns a *ValueError for the first target probability, of
// a row that counts, that is negative or not finite.
func (s *settings) checkSoftTargets(soft *source) error {
	if soft.kind == sourceForeign {
		return s.findSoftTarget(soft, 0)
	}
	// The rows that count are looked at as they lie.
	raw := &soft.raw
	for first, end := 0, 0; first < soft.rows; first = end + 1 {
		if end = first; !s.countsSoft(end) {
			continue
		}
		if s.sampleWeight == nil {
			end = soft.rows
		}
		for end < soft.rows && s.countsSoft(end) {
			end++
		}
		var all bool
		if soft.kind == sourceDense {
			all = areSoftTargetRows(raw.Data[first*raw.Stride:], raw.Stride, end-first, raw.Cols)
		} else {
			all = areSoftTargetRows(raw.Data[first:], raw.Stride, raw.Rows, end-first)
		}
		if !all {
			return s.findSoftTarget(soft, first)
		}
	}
	return nil
}

// areSoftTargetRows is areSoftTargets of rows of n entries, stride apart.
func areSoftTargetRows(x []float64, stride, rows, n int) bool {
	if stride == n {
		return areSoftTargets(x[:rows*n])
	}
	most := max(1, kernel.PieceLen/n)
	for i := 0; i < rows; i += most {
		x := x[i*stride:]
		if n > kernel.PieceLen {
			if !areSoftTargets(x[:n]) {
				return false
			}
		} else if !kernel.RowsAreBetween(x, stride, min(most, rows-i), n, 0, math.MaxFloat64) {
			return false
		}
	}
	return true
}

// areSoftTargets reports whether all of x are finite and not negative, in pieces.
func areSoftTargets(x []float64) bool { return len(x) == 0 || areBetween(x, 0, math.MaxFloat64) }

// areBetween is kernel.AreBetween in pieces.
func areBetween(x []float64, least, most float64) bool {
	for len(x) > kernel.PieceLen {
		if !kernel.AreBetween(x[:kernel.PieceLen], least, most) {
			return false
		}
		x = x[kernel.PieceLen:]
	}
	return kernel.AreBetween(x, least, most)
}

// findSoftTarget is checkSoftTargets from row i on, entry by entry.
func (s *settings) findSoftTarget(soft *source, i int) error {
	for ; i < soft.rows; i++ {
		if !s.countsSoft(i) {
			continue
		}
		for j := range soft.cols {
			if v := soft.at(i, j); !kernel.IsSoftTarget(v) {
				return &ValueError{Name: "target", Row: i, Col: j, Value: v}
			}
		}
	}
	return nil
}
