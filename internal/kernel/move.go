// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// A Strips is what is known of the strips before and after the one in work:
// the results of the last one and the maxima of the next.
type Strips struct{ Before, Next Panel }

// A Move is what MoveStrips does, beside summing a strip of some columns,
// for the strips before and after it, which are as wide: it writes the result
// of the one and reads the other.
type Move struct {
	*Strips
	// Buffer holds the entries of the strip before, and then those of the
	// strip after, in rows without gaps.
	Buffer    []float64
	In        []float64 // the strip after, where it lies
	InStride  int
	Out       []float64 // the result of the strip before
	OutStride int
}

// moveStripsApart is Total without dst for a strip x, whose rows have
// no gaps; Shift by m.before of m.Buffer to m.Out; then m.In is copied to
// m.Buffer and raises the maxima m.next. MoveStrips does all that at once.
func (c *Panel) moveStripsApart(x []float64, n, groups int, m *Move) {
	width := groups * Group
	c.Total(nil, 0, x, width, n, groups)
	m.Before.Shift(m.Out, m.OutStride, m.Buffer, width, n, groups)
	CopyRows(m.Buffer, width, m.In, m.InStride, n, width)
	m.Next.RaiseMax(m.Buffer, width, n, groups)
}

// CopyRows copies n rows of the given width.
func CopyRows(dst []float64, dstStride int, x []float64, stride, n, width int) {
	for i := range n {
		copy(dst[i*dstStride:][:width], x[i*stride:])
	}
}
