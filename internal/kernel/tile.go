// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// FewCols is the largest number of classes for which rows are packed into
// columns and worked on side by side: one block.
const FewCols = BlockLen

// pageLen is how many entries have places of their own in the first cache: a page.
const pageLen = 512

// Crowds reports whether rows of that stride are at the same place on different
// pages, or nearly so.
func Crowds(stride int) bool { return (stride+1)%pageLen <= 2 }

// A tile holds up to Width slices of at most FewCols entries side by
// side.
type Tile [FewCols * Width]float64

// PackRows packs n rows of x, at most Width, into the tile; what is
// left of the last group becomes 0.
func (t *Tile) PackRows(x []float64, stride, n, cols int) { PackRows(t[:], x, stride, n, cols) }

// PackRows is the same for rows of any length, in a tile that has as many
// rows.
func PackRows(tile, x []float64, stride, n, cols int) {
	if full := n / Group; full > 0 {
		pack(tile, Width, x, stride, cols, full)
	}
	packRest(tile, x, stride, n, cols)
}

// packRest packs those of n rows that fill no group, and zeros.
func packRest(tile, x []float64, stride, n, cols int) {
	first := n / Group * Group
	if first == n {
		return
	}
	for j := range cols {
		*(*[Group]float64)(tile[j*Width+first:]) = [Group]float64{}
	}
	for i := first; i < n; i++ {
		for j, v := range x[i*stride:][:cols] {
			tile[j*Width+i] = v
		}
	}
}

// PackLogits is PackRows to t, and sets c.Max.
func (c *Panel) PackLogits(t *Tile, x []float64, stride, n, cols int) {
	full := n / Group
	if full > 0 {
		c.packMax(t[:], x, stride, cols, full)
	}
	packRest(t[:], x, stride, n, cols)
	for i := full * Group; i < GroupsFor(n)*Group; i++ {
		c.Max[i] = 0
		if i < n {
			c.Max[i] = maxOfGo(x[i*stride:][:cols])
		}
	}
}

// UnpackRows is the inverse of PackRows.
func (t *Tile) UnpackRows(dst []float64, stride, n, cols int) {
	full := n / Group
	if full > 0 {
		unpack(dst, stride, t[:], Width, cols, full)
	}
	t.unpackRest(dst, stride, n, cols)
}

// unpackRest writes those of n rows that fill no group.
func (t *Tile) unpackRest(dst []float64, stride, n, cols int) {
	for i := n / Group * Group; i < n; i++ {
		row := dst[i*stride:][:cols]
		for j := range row {
			row[j] = t[j*Width+i]
		}
	}
}

// UnpackRowsScaled writes the columns of the tile, times their factors, as n rows
// of dst: 0 where the factor is 0, whatever is in the tile.
func (c *Panel) UnpackRowsScaled(t *Tile, dst []float64, stride, n, cols int) {
	if full := n / Group; full > 0 {
		c.unpackScaled(dst, stride, t[:], cols, full)
	}
	c.unpackRestScaled(t, dst, stride, n, cols)
}

// UnpackGradient is UnpackRowsScaled but for what l has for the labels, of terms
// that Label was called with.
func (c *Panel) UnpackGradient(l *Labels, t *Tile, dst []float64, stride, n, cols int) {
	full := n / Group
	if full > 0 {
		c.unpackGradient(l, dst, stride, t[:], cols, full)
	}
	c.unpackRestScaled(t, dst, stride, n, cols)
	l.setAtLabels(dst, stride, full*Group, n)
}

// unpackRestScaled writes those of n rows that fill no group.
func (c *Panel) unpackRestScaled(t *Tile, dst []float64, stride, n, cols int) {
	for i := n / Group * Group; i < n; i++ {
		row, factor := dst[i*stride:][:cols], c.Factor[i]
		for j := range row {
			row[j] = scaled(t[j*Width+i], factor)
		}
	}
}

// ScaleApart multiplies the terms of those of n rows whose factor Label did not
// set without a loss, because it does not combine with the gradient.
func (c *Panel) ScaleApart(l *Labels, t *Tile, n, cols int) {
	for i, g := range l.Gradient[:n] {
		if Combines(g) {
			continue
		}
		for j := range cols {
			t[j*Width+i] = scaled(t[j*Width+i], c.Inverse[i])
		}
		c.Factor[i] = g
	}
}

// scaled returns x·factor, never -0, and 0 for a factor of 0.
func scaled(x, factor float64) float64 {
	switch {
	case factor == 0:
		return 0
	case factor != factor:
		return NaN
	}
	return Canonical(float64(x * factor))
}

// SumRows sums up n rows of at most FewCols entries, which it packs. With
// keep the tile then holds their terms, else the rows themselves. It prefetches
// as SumTile does.
func (c *Panel) SumRows(t *Tile, x []float64, stride, n, cols int, keep bool, next, out []float64) {
	c.PackLogits(t, x, stride, n, cols)
	var terms []float64
	if keep {
		terms = t[:]
	}
	c.SumTile(t, terms, cols, GroupsFor(n), next, out)
}

// SumTile sums up the slices in the tile, of cols entries, whose maxima are set. Where terms is not nil it is a tile that receives the terms; it may be
// that one. Of next and out, unless nil, it prefetches as many entries as the
// tile has: the rows that are packed next, and where the results of these go.
func (c *Panel) SumTile(t *Tile, terms []float64, cols, groups int, next, out []float64) {
	if cols <= Group {
		// What fills a tile is so little that the processor does it by itself.
		next, out = nil, nil
	}
	c.TotalAhead(terms, Width, t[:], Width, cols, groups*Group, next, out, groups*Group)
}

// packGo writes the rows of x, cols entries each, as columns of dst:
// dst[j*dstStride+i] is x[i*stride+j], for 8·groups rows.
func packGo(dst []float64, dstStride int, x []float64, stride, cols, groups int) {
	for i := range groups * Group {
		for j, v := range x[i*stride:][:cols] {
			dst[j*dstStride+i] = v
		}
	}
}

// packMaxGo is packGo, and sets c.Max for these rows.
func (c *Panel) packMaxGo(tile []float64, x []float64, stride, cols, groups int) {
	packGo(tile, Width, x, stride, cols, groups)
	Fill(c.Max[:groups*Group], math.Inf(-1))
	c.raiseMaxGo(tile, Width, cols, groups*Group)
}

// unpackGo writes columns of x, of cols entries, as rows of dst: dst[i*stride+j] is
// x[j*xStride+i], for 8·groups rows.
func unpackGo(dst []float64, stride int, x []float64, xStride, cols, groups int) {
	for i := range groups * Group {
		row := dst[i*stride:][:cols]
		for j := range row {
			row[j] = x[j*xStride+i]
		}
	}
}

// unpackScaledGo is unpackGo of the columns times their factors, leaving no -0,
// and 0 where the factor is 0.
func (c *Panel) unpackScaledGo(dst []float64, stride int, tile []float64, cols, groups int) {
	for i := range groups * Group {
		row := dst[i*stride:][:cols]
		for j := range row {
			row[j] = scaled(tile[j*Width+i], c.Factor[i])
		}
	}
}

// unpackGradientGo is unpackScaledGo but for what l has for the labels.
func (c *Panel) unpackGradientGo(l *Labels, dst []float64, stride int, tile []float64, cols, groups int) {
	c.unpackScaledGo(dst, stride, tile, cols, groups)
	l.setAtLabels(dst, stride, 0, groups*Group)
}

// setAtLabels sets, in rows from the first up to the end, the gradients at their
// labels. All of a row that does not count is 0.
func (l *Labels) setAtLabels(dst []float64, stride, first, end int) {
	for k := first; k < end; k++ {
		dst[k*stride+int(max(l.Class[k], 0))] = l.AtLabel[k]
	}
}

// CopyRows copies n rows of the given width.
func CopyRows(dst []float64, dstStride int, x []float64, stride, n, width int) {
	if width == Group {
		// A call for each would take longer.
		for i := range n {
			*(*[Group]float64)(dst[i*dstStride:]) = *(*[Group]float64)(x[i*stride:])
		}
		return
	}
	for i := range n {
		copy(dst[i*dstStride:][:width], x[i*stride:])
	}
}

// Transpose sets dst[j*dstStride+i] to x[i*stride+j], for n rows of x with cols
// entries, which dst does not overlap. What fills no group is done with entries
// before it, which are done twice.
func Transpose(dst []float64, dstStride int, x []float64, stride, n, cols int) {
	// Rows of dst that begin at the same places of pages would not have room beside
	// one another in the first cache: they are written eight and eight.
	samePlaces := cols >= Group && Crowds(dstStride)
	switch {
	case n >= Group && !samePlaces:
		pack(dst, dstStride, x, stride, cols, n/Group)
		if last := n - Group; n%Group != 0 {
			pack(dst[last:], dstStride, x[last*stride:], stride, cols, 1)
		}
	case cols >= Group:
		unpack(dst, dstStride, x, stride, n, cols/Group)
		if last := cols - Group; cols%Group != 0 {
			unpack(dst[last*dstStride:], dstStride, x[last:], stride, n, 1)
		}
	default:
		for i := range n {
			for j, v := range x[i*stride:][:cols] {
				dst[j*dstStride+i] = v
			}
		}
	}
}
