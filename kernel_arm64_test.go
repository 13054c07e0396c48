// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build arm64 && !purego && !noasm && !safe

package logsoftmax

import "testing"

// TestNEONNothing has the kernels work on no entries or on no slices, which
// their loops do not know.
func TestNEONNothing(t *testing.T) {
	onTier(tierNEON, func() {
		if count, hi, lo := expSum(nil, nil, 3); count != 0 || hi != 0 || lo != 0 {
			t.Errorf("expSum of nothing = %v, %v, %v", count, hi, lo)
		}
		shiftBy(nil, nil, 1, -1)
		scaleBy(nil, 2)
		one := make([]float64, group)
		for _, size := range []struct{ n, groups int }{{0, 1}, {1, 0}, {0, 0}} {
			got := canaries()
			if size.n == 0 {
				columnsMax(got, one, group, 0, size.groups)
				columnsExpSum(got, one, group, one, group, 0, size.groups)
			} else {
				columnsMax(got, one, group, size.n, 0)
				columnsExpSum(got, one, group, one, group, size.n, 0)
				columnsFrame(got, 0)
				columnsJoin(got, 0)
				columnsLog(got, 0)
				columnsConclude(got, 0)
				columnsTotal(got, one, group, one, group, size.n, 0)
			}
			columnsShift(got, one, group, one, group, size.n, size.groups)
			columnsScale(got, one, group, size.n, size.groups)
			pack(one, one, 1, size.n, size.groups)
			unpack(one, 1, one, size.n, size.groups)
			// Sums of no entries may be added to.
			got.hi, got.lo = canaries().hi, canaries().lo
			if s := got.differs(canaries(), columnsWidth/group, false, everything...); s != "" {
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
	enough := (n-1)*stride + groups*group
	x, short := make([]float64, enough), make([]float64, enough-1)
	tile := make([]float64, (n-1)*columnsWidth+groups*group)
	shortTile := tile[: len(tile)-1 : len(tile)-1]
	rows := make([]float64, (groups*group-1)*stride+n)
	shortRows := rows[: len(rows)-1 : len(rows)-1]
	c := new(columns)
	onTier(tierNEON, func() {
		for name, f := range map[string]func(){
			"shiftBy":                func() { shiftBy(short[:4:4], short[:5], 0, 0) },
			"columnsMax":             func() { columnsMax(c, short, stride, n, groups) },
			"columnsExpSum":          func() { columnsExpSum(c, nil, 0, short, stride, n, groups) },
			"columnsExpSum, its dst": func() { columnsExpSum(c, short, stride, x, stride, n, groups) },
			"columnsShift":           func() { columnsShift(c, x, stride, short, stride, n, groups) },
			"columnsShift, its dst":  func() { columnsShift(c, short, stride, x, stride, n, groups) },
			"columnsScale":           func() { columnsScale(c, short, stride, n, groups) },
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
