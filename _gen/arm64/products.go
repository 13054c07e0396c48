// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"fmt"
	"strings"
)

// products are the tiles of matrix products: four rows or one, by eight entries,
// two, or one.
func (g *generator) products() {
	for _, rows := range []int{4, 1} {
		for _, entries := range []int{8, 2, 1} {
			g.product(rows, entries)
		}
	}
}

// product is the kernel of a tile of rows by entries. One entry is in the low
// half of a register whose other half is 0 or of no account.
func (g *generator) product(rows, entries int) {
	g.function(fmt.Sprintf("product%dx%d", rows, entries),
		"func(dst *float64, dstStride int, a *float64, aRow, aStep int, b *float64, bStep, n int, plus *float64, onto int)",
		fmt.Sprintf("is productGo for rows = %d, cols = %d and n > 0.", rows, entries))
	g.loadArguments("dst", "dstStride", "a", "aRow", "aStep", "b", "bStep", "n", "plus", "onto")
	g.raw("LSL $3, R1\nLSL $3, R3\nLSL $3, R4\nLSL $3, R6")
	left, to := []string{"R2"}, []string{"R0"}
	for i := 1; i < rows; i++ {
		left, to = append(left, fmt.Sprintf("R%d", 9+i)), append(to, fmt.Sprintf("R%d", 12+i))
		g.raw(fmt.Sprintf("ADD R3, %s, %s\nADD R1, %s, %s", left[i-1], left[i], to[i-1], to[i]))
	}
	vectors := (entries + 1) / 2
	move := "FMOVQ"
	if entries == 1 {
		move = "FMOVD"
	}
	read := func(to vector, from string) vector {
		v := make(vector, vectors)
		for i := range v {
			format := fmt.Sprintf("%s %d(%s), F%%[1]d", move, 16*i, from)
			if to != nil {
				v[i] = g.emit(to[i:i+1], format, false)[0]
			} else {
				v[i] = g.read(format)
			}
		}
		return v
	}
	sums := make([]vector, rows)
	for i := range sums {
		sums[i] = g.pin(vectors)
		g.clear(sums[i])
	}
	g.raw("CBZ R9, step")
	for i := range sums {
		read(sums[i], to[i])
	}
	g.label("step")
	right := read(nil, "R5")
	for i := range sums {
		factor := vector{g.read(fmt.Sprintf("VLD1R (%s), [V%%[1]d.D2]", left[i]))}
		g.emit(sums[i], "VFMLA V%[3]d.D2, V%[2]d.D2, V%[1]d.D2", true, sums[i], right, factor)
	}
	g.raw("ADD R6, R5\nADD R4, " + strings.Join(left, "\nADD R4, ") + "\nSUBS $1, R7\nBNE step")
	g.pointToNumbers()
	for i := range sums {
		sum := g.add(sums[i], vector{g.read("VLD1R (R8), [V%[1]d.D2]")})
		sum = g.where(g.equal(sum, sum), sum, g.number(g.constant("nan")))
		for v, x := range sum {
			g.consume(fmt.Sprintf("%s F%%[2]d, %d(%s)", move, 16*v, to[i]), x)
		}
		g.raw("ADD $8, R8")
	}
	g.raw("RET")
}
