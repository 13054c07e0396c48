// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build arm64 && !purego && !noasm && !safe

package kernel

import "testing"

// TestNEONNothing has the kernels work on no entries or on no slices, which
// their loops do not know.
func TestNEONNothing(t *testing.T) {
	onTier(tierNEON, func() {
		if count, hi, lo := expSum(nil, nil, 3); count != 0 || hi != 0 || lo != 0 {
			t.Errorf("expSum of nothing = %v, %v, %v", count, hi, lo)
		}
		if count, hi, lo := LaneTotal(nil, nil, 3); count != 0 || hi != 0 || lo != 0 {
			t.Errorf("LaneTotal of nothing = %v, %v, %v", count, hi, lo)
		}
		ShiftBy(nil, nil, 1, -1)
		scaleBy(nil, 2)
		VectorJacobianOf(nil, nil, nil, 1, 0)
		VectorJacobianColumns(Rows{}, Rows{}, Rows{}, 0, 0, nil, nil)
		momentTerms(nil, nil, nil, nil)
		softmaxGradRow(nil, nil, nil, nil, Accumulator{}, Accumulator{})
		softmaxGradColumns(nil, nil, nil, nil, 0, 1, 0, nil, nil, nil, nil)
		if sum := SumOf(nil); sum != (Accumulator{}) {
			t.Errorf("SumOf of nothing = %v", sum)
		}
		if loss, sum := WeightedLossAndSum(nil, nil, 1, 0); loss != (Accumulator{}) || sum != (Accumulator{}) {
			t.Errorf("WeightedLossAndSum of nothing = %v, %v", loss, sum)
		}
		if !AreBetween(nil, 0, 1) || IndexOf(nil, 1) != -1 || addLanes(new(laneSums), nil, nil) {
			t.Error("there is something in nothing")
		}
		one := make([]float64, Group)
		for _, size := range []struct{ n, groups int }{{0, 1}, {1, 0}, {0, 0}} {
			got := canaries()
			if size.n == 0 {
				got.RaiseMax(one, Group, 0, size.groups*Group)
				got.AddExp(one, Group, one, Group, 0, size.groups*Group)
			} else {
				got.RaiseMax(one, Group, size.n, 0)
				got.AddExp(one, Group, one, Group, size.n, 0)
				got.SetFrames(0)
				got.JoinLanes(0)
				got.concludeSums(0)
				got.concludeLogs(0)
				got.concludeProbabilities(0)
				got.Total(one, Group, one, Group, size.n, 0)
				got.Label(new(Labels), new(Tile), 0)
				got.WeightedLabel(new(Labels), true, 0)
				got.TakeLow(new(LowSums), 0)
				got.JoinLow(new(LowSums), 0)
			}
			got.Shift(one, Group, one, Group, size.n, size.groups*Group)
			got.Scale(one, Group, one, Group, size.n, size.groups*Group)
			pack(one, Width, one, 1, size.n, size.groups)
			unpack(one, 1, one, Width, size.n, size.groups)
			got.unpackScaled(one, 1, one, size.n, size.groups)
			got.Add(one, Group, size.n, size.groups)
			got.WeightedGradient(one, one, one, size.n, size.groups)
			// Sums of no entries may be added to.
			got.Hi, got.Lo = canaries().Hi, canaries().Lo
			if s := got.differs(canaries(), Width/Group, false, everything...); s != "" {
				t.Errorf("%d entries in %d groups: %s", size.n, size.groups, s)
			}
			for j, v := range one {
				if v != 0 {
					t.Errorf("%d entries in %d groups wrote entry %d", size.n, size.groups, j)
				}
			}
		}
	})
}

// TestNEONShort holds the kernels to panic, as the reference does, where a
// slice is too short for what they are asked.
func TestNEONShort(t *testing.T) {
	const n, groups, stride = 5, 2, 19
	enough := (n-1)*stride + groups*Group
	x, short := make([]float64, enough), make([]float64, enough-1)
	tile := make([]float64, (n-1)*Width+groups*Group)
	shortTile := tile[: len(tile)-1 : len(tile)-1]
	rows := make([]float64, (groups*Group-1)*stride+n)
	shortRows := rows[: len(rows)-1 : len(rows)-1]
	c := new(Panel)
	onTier(tierNEON, func() {
		for name, f := range map[string]func(){
			"shiftBy":                func() { ShiftBy(short[:4:4], short[:5], 0, 0) },
			"columnsMax":             func() { c.RaiseMax(short, stride, n, groups*Group) },
			"columnsExpSum":          func() { c.AddExp(nil, 0, short, stride, n, groups*Group) },
			"columnsExpSum, its dst": func() { c.AddExp(short, stride, x, stride, n, groups*Group) },
			"columnsShift":           func() { c.Shift(x, stride, short, stride, n, groups*Group) },
			"columnsShift, its dst":  func() { c.Shift(short, stride, x, stride, n, groups*Group) },
			"columnsScale":           func() { c.Scale(x, stride, short, stride, n, groups*Group) },
			"columnsScale, its dst":  func() { c.Scale(short, stride, x, stride, n, groups*Group) },
			"pack":                   func() { pack(tile, Width, shortRows, stride, n, groups) },
			"pack, its tile":         func() { pack(shortTile, Width, rows, stride, n, groups) },
			"LaneTotal, its dst":     func() { LaneTotal(short[:4:4], short[:5], 0) },
			"VectorJacobianOf":       func() { VectorJacobianOf(short[:5], short[:4:4], short[:5], 1, 0) },
			"momentTerms":            func() { momentTerms(short[:5], short[:4:4], short[:5], short[:5]) },
			"softmaxGrad":            func() { softmaxGradRow(short[:4:4], short[:5], short[:5], short[:5], Accumulator{}, Accumulator{}) },
			"WeightedGradientRows":   func() { c.WeightedGradientRows(0, short[:4:4], 4, short[:5], 5, short[:5], 5, 5, 1) },
			"Labels.Weigh":           func() { new(Labels).Weigh(nil, short[:4:4], 5, 1) },
			"WeightedLoss":           func() { c.WeightedLoss(tile, shortTile, n, groups) },
			"WeightedGradient":       func() { c.WeightedGradient(tile, tile, shortTile, n, groups) },
			"Add":                    func() { c.Add(short, stride, n, groups*Group) },
			"SumSlices":              func() { c.SumSlices(shortTile, n, groups) },
			"unpackScaled":           func() { c.unpackScaled(shortRows, stride, tile, n, groups) },
			"unpackScaled, its tile": func() { c.unpackScaled(rows, stride, shortTile, n, groups) },
			"unpack":                 func() { unpack(shortRows, stride, tile, Width, n, groups) },
			"unpack, its tile":       func() { unpack(rows, stride, shortTile, Width, n, groups) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s does not panic where a slice is too short", name)
					}
				}()
				f()
			}()
		}
	})
}
