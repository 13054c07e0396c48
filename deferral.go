// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

// A deferral is the result of a long row that is known and still to be written,
// past the caches. It is written beside the exponentials of the row after it,
// with which memory has nothing to do, and which do not wait for memory.
type deferral struct {
	dst, from []float64 // nil where nothing is deferred
	// The result is from-max+negLogSum or, where from are terms, from times a
	// factor for each chunk, and the gradient at a label, if there is one.
	max, negLogSum float64
	factors        []float64
	label          int
	atLabel        float64
}

// The lengths of rows that are worth deferring: of several chunks, and such
// that two stay in the second cache.
const mostDeferred = 1 << 15

// defers reports whether results of rows of n entries are deferred.
func (w *workspace) defers(n int) bool {
	return active == tierAVX512 && w.away && !w.spread && n > chunkLen && n <= mostDeferred
}

// deferShift defers setting dst to the log-probabilities of the row x of
// sumLong.
func (w *workspace) deferShift(dst, x []float64) {
	w.deferred = deferral{dst: dst, from: x, max: w.max[0], negLogSum: w.negLogSum[0], factors: w.deferred.factors[:0], label: -1}
}

// deferScale defers setting dst to the probabilities times g of the row of
// sumLong whose terms are given, and then its entry label, if not negative, to
// atLabel. It reports whether it did.
func (w *workspace) deferScale(dst, terms []float64, g float64, label int, atLabel float64) bool {
	if !w.defers(len(terms)) || !combines(g) {
		return false
	}
	factors, whole := w.deferred.factors[:0], w.wholePartial()
	for u := range w.partials {
		f := w.partials[u].factors(&whole)
		if f.second != 1 {
			return false
		}
		factors = append(factors, float64(f.first*g))
	}
	w.deferred = deferral{dst: dst, from: terms, factors: factors, label: label, atLabel: atLabel}
	// The next row's terms go elsewhere.
	w.otherTerms = !w.otherTerms
	return true
}

// writeChunk writes a chunk past the caches.
func (d *deferral) writeChunk(chunk int) {
	dst, from := chunkOf(d.dst, chunk), chunkOf(d.from, chunk)
	if len(d.factors) == 0 {
		shiftAway(dst, from, d.max, d.negLogSum)
	} else {
		scaleAway(dst, from, d.factors[chunk])
	}
}

// finish ends a deferral whose chunks have been written.
func (d *deferral) finish() {
	if d.dst == nil {
		return
	}
	writeFence()
	if d.label >= 0 {
		d.dst[d.label] = d.atLabel
	}
	d.dst, d.from = nil, nil
}

// settle writes what is deferred.
func (w *workspace) settle() {
	d := &w.deferred
	for u := range chunks(len(d.dst)) {
		d.writeChunk(u)
	}
	d.finish()
}
