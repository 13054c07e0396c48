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
		ShiftBy(nil, nil, 1, -1)
		scaleBy(nil, 2)
		one := make([]float64, Group)
		for _, size := range []struct{ n, groups int }{{0, 1}, {1, 0}, {0, 0}} {
			got := canaries()
			if size.n == 0 {
				got.RaiseMax(one, Group, 0, size.groups)
				got.AddExp(one, Group, one, Group, 0, size.groups)
			} else {
				got.RaiseMax(one, Group, size.n, 0)
				got.AddExp(one, Group, one, Group, size.n, 0)
				got.SetFrames(0)
				got.JoinLanes(0)
				got.concludeSums(0)
				got.concludeLogs(0)
				got.concludeProbabilities(0)
				got.Total(one, Group, one, Group, size.n, 0)
			}
			got.Shift(one, Group, one, Group, size.n, size.groups)
			got.Scale(one, Group, size.n, size.groups)
			pack(one, one, 1, size.n, size.groups)
			unpack(one, 1, one, size.n, size.groups)
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
			"columnsMax":             func() { c.RaiseMax(short, stride, n, groups) },
			"columnsExpSum":          func() { c.AddExp(nil, 0, short, stride, n, groups) },
			"columnsExpSum, its dst": func() { c.AddExp(short, stride, x, stride, n, groups) },
			"columnsShift":           func() { c.Shift(x, stride, short, stride, n, groups) },
			"columnsShift, its dst":  func() { c.Shift(short, stride, x, stride, n, groups) },
			"columnsScale":           func() { c.Scale(short, stride, n, groups) },
			"pack":                   func() { pack(tile, shortRows, stride, n, groups) },
			"pack, its tile":         func() { pack(shortTile, rows, stride, n, groups) },
			"unpack":                 func() { unpack(shortRows, stride, tile, n, groups) },
			"unpack, its tile":       func() { unpack(rows, stride, shortTile, n, groups) },
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
