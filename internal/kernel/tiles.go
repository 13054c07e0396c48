// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build (amd64 || arm64) && !purego && !noasm && !safe

package kernel

// productSteps is productGo, tile by tile.
func productSteps(dst Rows, rows, cols int, a Factor, b Rows, n int, plus []float64, onto bool) {
	if active == tierGo || rows == 0 || cols == 0 || n == 0 {
		productGo(dst, rows, cols, a, b, n, plus, onto)
		return
	}
	// The last that the kernels touch.
	_ = dst.Data[(rows-1)*dst.Stride+cols-1]
	_ = a.Data[(rows-1)*a.Row+(n-1)*a.Step]
	_ = b.Data[(n-1)*b.Stride+cols-1]
	raceReadFactor(a, rows, n)
	raceReadRows(b.Data, b.Stride, n, cols)
	raceReadSlice(plus)
	raceWriteRows(dst.Data, dst.Stride, rows, cols)
	load := 0
	if onto {
		load = 1
	}
	tile := func(i, j int) (height, width int) {
		height, width = tileSize(rows-i, cols-j)
		addends := &noAddends[0]
		if plus != nil {
			addends = &plus[i]
		}
		productTile(height, width, &dst.Data[i*dst.Stride+j], dst.Stride,
			&a.Data[i*a.Row], a.Row, a.Step, &b.Data[j], b.Stride, n, addends, load)
		return height, width
	}
	if n*cols <= nearby {
		for i, height := 0, 0; i < rows; i += height {
			for j, width := 0, 0; j < cols; j += width {
				height, width = tile(i, j)
			}
		}
		return
	}
	for j, width := 0, 0; j < cols; j += width {
		for i, height := 0, 0; i < rows; i += height {
			height, width = tile(i, j)
		}
	}
}

// nearby is how many entries of b stay in the second cache while all columns are
// done for some rows, so that a and dst are gone through once. With more of them
// it is better to do all rows for some columns.
const nearby = 1 << 16

// noAddends are those of the rows of a tile where there are none.
var noAddends [8]float64
