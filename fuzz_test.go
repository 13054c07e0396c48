// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
)

// The public functions on whatever bytes say, against slow and obvious
// implementations: the definitions, in pairs of doubles and in math/big.

// A fuzzReader makes arguments of bytes. When they are used up it goes on with
// random numbers that depend on them.
type fuzzReader struct {
	data []byte
	rest *rand.Rand
}

func newFuzzReader(data []byte) *fuzzReader {
	h := uint64(14695981039346656037)
	for _, b := range data {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return &fuzzReader{data, rand.New(rand.NewPCG(h, 71))}
}

func (r *fuzzReader) byte() byte {
	if len(r.data) == 0 {
		return byte(r.rest.Uint32())
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

// below returns a number from 0 to n-1.
func (r *fuzzReader) below(n int) int {
	if n > 256 {
		return (int(r.byte()) | int(r.byte())<<8) % n
	}
	return int(r.byte()) % n
}

func (r *fuzzReader) bits() float64 {
	var b [8]byte
	for i := range b {
		b[i] = r.byte()
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
}

// fuzzSpecial are values that something is said about.
var fuzzSpecial = []float64{
	0, math.Copysign(0, -1), math.NaN(), -math.NaN(), math.Inf(1), math.Inf(-1), math.Float64frombits(0x7ff0000000000001),
	math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 0x1p-1022, 1e15, -1e15, 1600, -1600, 745, -790, 1e300, 0x1p53,
}

// logits fills a row with numbers of a kind that a byte chooses.
func (r *fuzzReader) logits(row []float64) {
	switch kind := r.byte() % 8; kind {
	case 0:
		for j := range row {
			row[j] = r.bits()
		}
	case 1:
		for j := range row {
			row[j] = float64(int8(r.byte())) / 8
		}
	case 2:
		for j := range row {
			row[j] = -float64(uint16(r.byte())<<8|uint16(r.byte())) / 80
		}
	case 3:
		for j := range row {
			row[j] = fuzzSpecial[r.below(len(fuzzSpecial))]
		}
	case 4:
		base := fuzzSpecial[r.below(len(fuzzSpecial))]
		for j := range row {
			row[j] = base + float64(int8(r.byte()))
		}
	case 5:
		v := r.bits()
		for j := range row {
			row[j] = v
		}
		row[r.below(len(row))] = r.bits()
	default:
		sd := math.Ldexp(1, int(r.byte()%12)-1)
		for j := range row {
			row[j] = sd * r.rest.NormFloat64()
		}
		if kind == 7 {
			row[r.below(len(row))] = fuzzSpecial[r.below(len(fuzzSpecial))]
		}
	}
}

// matrix returns a matrix of logits.
func (r *fuzzReader) matrix(rows, cols int) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	for i := range rows {
		r.logits(m.RawRowView(i))
	}
	return m
}

// shape returns a shape, small as a rule.
func (r *fuzzReader) shape() (rows, cols int) {
	switch r.byte() % 16 {
	case 0:
		return 1 + r.below(3), 1 + r.below(300)
	case 1:
		return 1 + r.below(300), 1 + r.below(3)
	case 2:
		return 1, 2000 + r.below(300)
	case 3:
		return 2000 + r.below(300), 1
	case 4:
		return 60 + r.below(80), 1 + r.below(12)
	}
	return 1 + r.below(10), 1 + r.below(20)
}

// in returns m in one of the layouts.
func (r *fuzzReader) in(m *mat.Dense) mat.Matrix {
	return layouts[r.below(len(layouts))].of(m)
}

// dst returns a destination of one of the kinds: empty, full of something, a
// view; and what tells that nothing else was written.
func (r *fuzzReader) dst(rows, cols int) (dst *mat.Dense, untouched func() bool) {
	yes := func() bool { return true }
	switch r.byte() % 3 {
	case 0:
		return new(mat.Dense), yes
	case 1:
		m := mat.NewDense(rows, cols, nil)
		for i := range rows {
			r.logits(m.RawRowView(i))
		}
		return m, yes
	}
	return viewOf(mat.NewDense(rows, cols, nil))
}

// fuzzSeeds adds seeds that reach every shape, kind of row and layout.
func fuzzSeeds(f *testing.F) {
	for a := range 16 {
		for b := range 8 {
			f.Add([]byte{byte(a), byte(3*a + b), byte(5*a + 2*b), byte(b), byte(a ^ b), byte(7 * b), byte(a), byte(b), byte(a + b)})
		}
	}
	f.Add([]byte{})
	f.Add([]byte("logits, labels and weights"))
}

// isNaNRow reports whether every log-probability of a row is NaN.
func isNaNRow(x []float64) bool {
	allInf := true
	for _, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 1) {
			return true
		}
		allInf = allInf && math.IsInf(v, -1)
	}
	return allInf
}

const oneNaN = 0x7ff8000000000001

// FuzzLogSoftmax holds LogSoftmax, Softmax and LogSumExp to their definitions
// and bounds, along either dim.
func FuzzLogSoftmax(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		rows, cols := r.shape()
		dim := r.below(4) - 2
		x := r.matrix(rows, cols)
		logp, untouched := r.dst(rows, cols)
		logsoftmax.LogSoftmax(logp, r.in(x), dim)
		p, untouched2 := r.dst(rows, cols)
		logsoftmax.Softmax(p, r.in(x), dim)
		lse := logsoftmax.LogSumExp(nil, r.in(x), dim)
		if !untouched() || !untouched2() {
			t.Fatal("wrote outside of dst")
		}
		slicesOf := func(m *mat.Dense) mat.Matrix { return m }
		if dim == 0 || dim == -2 {
			slicesOf = func(m *mat.Dense) mat.Matrix { return m.T() }
		}
		n, _ := slicesOf(x).Dims()
		if len(lse) != n {
			t.Fatalf("LogSumExp has length %d, want %d", len(lse), n)
		}
		var slice ddRow
		for i := range n {
			x, logp, p := mat.Row(nil, i, slicesOf(x)), mat.Row(nil, i, slicesOf(logp)), mat.Row(nil, i, slicesOf(p))
			checkSlice(t, &slice, x, logp, p, lse[i])
			if t.Failed() {
				t.Fatalf("slice %d of %d×%d along %d", i, rows, cols, dim)
			}
		}
	})
}

// checkSlice checks what was made of one slice.
func checkSlice(t *testing.T, slice *ddRow, x, logp, p []float64, lse float64) {
	t.Helper()
	if isNaNRow(x) {
		for j := range x {
			if math.Float64bits(logp[j]) != oneNaN || math.Float64bits(p[j]) != oneNaN {
				t.Errorf("entry %d is %#x, probability %#x, want the one NaN", j, math.Float64bits(logp[j]), math.Float64bits(p[j]))
			}
		}
		want := math.Inf(-1)
		for _, v := range x {
			switch {
			case math.IsNaN(v):
				want = math.Float64frombits(oneNaN)
			case v > want:
				want = v
			}
		}
		if math.Float64bits(lse) != math.Float64bits(want) {
			t.Errorf("LogSumExp is %v (%#x), want %v", lse, math.Float64bits(lse), want)
		}
		return
	}
	slice.set(x)
	for j, v := range x {
		if math.IsInf(v, -1) {
			if !math.IsInf(logp[j], -1) || math.Float64bits(p[j]) != 0 {
				t.Errorf("entry %d is -Inf: log-probability %v, probability %v", j, logp[j], p[j])
			}
			continue
		}
		want := slice.logProb(j)
		if math.IsInf(want.v.hi, -1) {
			if !math.IsInf(logp[j], -1) {
				t.Errorf("log-probability %d is %v, want -Inf", j, logp[j])
			}
		} else if u := want.ulpsFrom(logp[j], want.v.hi); !(u <= maxUlpLogProb) {
			t.Errorf("log-probability %d of %v is %v, off by %v ulp", j, x, logp[j], u)
		}
		if logp[j] == 0 && math.Signbit(logp[j]) {
			t.Errorf("log-probability %d of %v is -0", j, x)
		}
		prob := slice.prob(j)
		if u := prob.ulpsFrom(p[j], prob.v.hi); !(u <= maxUlpProb) {
			t.Errorf("probability %d of %v is %v, off by %v ulp", j, x, p[j], u)
		}
	}
	want := slice.logSumExp()
	if math.IsInf(want.v.hi, 1) {
		if !math.IsInf(lse, 1) {
			t.Errorf("LogSumExp is %v, want +Inf", lse)
		}
		return
	}
	unit := max(math.Abs(slice.max), slice.logSumDD.hi)
	if want.small {
		unit = max(math.Abs(float64(slice.max*ddScale)), slice.logSum.v.hi)
	}
	if u := want.ulpsFrom(lse, max(unit, math.Abs(want.v.hi))); !(u <= maxUlpLogSumExp) || lse == 0 && math.Signbit(lse) {
		t.Errorf("LogSumExp of %v is %v, off by %v ulp", x, lse, u)
	}
}

// fuzzSmoothing are values of LabelSmoothing.
var fuzzSmoothing = []float64{1. / 16, 1. / 8, 0.1, 1. / 4, 0.3, 3. / 8, 1e-9, 1. / 2, 2. / 3, 5. / 8, 1e-300, 3. / 4, 0.9, 7. / 8, 1 - 0x1p-53, 1}

// A fuzzLoss is the arguments of the losses.
type fuzzLoss struct {
	rows, cols int
	x          *mat.Dense
	target     []int      // or else
	soft       *mat.Dense // distributions
	opts       *logsoftmax.Options
}

// loss returns arguments that the functions accept.
func (r *fuzzReader) loss(soft bool) *fuzzLoss {
	c := new(fuzzLoss)
	c.rows, c.cols = r.shape()
	c.x = r.matrix(c.rows, c.cols)
	weight := func(signed bool) float64 {
		switch b := r.byte(); {
		case b%5 == 0:
			return 0
		case b%5 == 1:
			return 1
		case signed && b%5 == 2:
			return -math.Ldexp(1+float64(r.byte())/256, int(b/5%16)-8)
		default:
			return math.Ldexp(1+float64(r.byte())/256, int(b/5%16)-8)
		}
	}
	mode := r.byte()
	if mode%8 > 0 {
		c.opts = new(logsoftmax.Options)
		if mode&1 > 0 {
			c.opts.Weight = make([]float64, c.cols)
			for j := range c.opts.Weight {
				c.opts.Weight[j] = weight(false)
			}
		}
		if mode&8 > 0 {
			c.opts.Reduction = logsoftmax.Sum
		}
		if mode&2 > 0 {
			c.opts.SampleWeight = make([]float64, c.rows)
			for i := range c.opts.SampleWeight {
				c.opts.SampleWeight[i] = weight(mode&8 > 0)
			}
		}
		if mode&4 > 0 {
			c.opts.LabelSmoothing = fuzzSmoothing[r.below(len(fuzzSmoothing))]
		}
		switch mode >> 4 % 4 {
		case 1:
			c.opts.Ignore = []int{}
		case 2:
			c.opts.Ignore = []int{math.MinInt, r.below(c.cols), 1 << 30}
		}
	}
	if soft {
		c.soft = mat.NewDense(c.rows, c.cols, nil)
		for i := range c.rows {
			row := c.soft.RawRowView(i)
			switch r.byte() % 4 {
			case 0:
				y := r.below(c.cols)
				if r.byte()%2 == 0 {
					y = largest(c.x.RawRowView(i))
				}
				row[y] = 1
			case 1:
				for j := range row {
					row[j] = float64(r.byte()) / 256
				}
			case 2:
				for j := range row {
					row[j] = max(0, r.rest.NormFloat64())
				}
			}
		}
		return c
	}
	c.target = make([]int, c.rows)
	for i := range c.target {
		c.target[i] = r.below(c.cols)
		switch r.byte() % 8 {
		case 0:
			if ignore := c.ignore(); len(ignore) > 0 {
				c.target[i] = ignore[0]
			}
		case 1, 2:
			// A confident row, if one is far ahead.
			c.target[i] = largest(c.x.RawRowView(i))
		}
	}
	return c
}

// largest returns the index of the largest number, before which there may be
// NaNs.
func largest(x []float64) int {
	y := 0
	for j, v := range x {
		if v > x[y] {
			y = j
		}
	}
	return y
}

func (c *fuzzLoss) ignore() []int {
	if c.opts == nil || c.opts.Ignore == nil {
		return []int{-100}
	}
	return c.opts.Ignore
}

// sampleWeight returns the weight of row i, 0 where the row does not count.
func (c *fuzzLoss) sampleWeight(i int) float64 {
	if c.soft == nil && slices.Contains(c.ignore(), c.target[i]) {
		return 0
	}
	if c.opts == nil || c.opts.SampleWeight == nil {
		return 1
	}
	return c.opts.SampleWeight[i]
}

// coefficients returns the exact coefficients of the negated
// log-probabilities in the loss of row i before its sample weight.
func (c *fuzzLoss) coefficients(i int) []*big.Float {
	var t []float64
	if c.soft == nil {
		t = exact.OneHot(c.cols, c.target[i])
	} else {
		t = c.soft.RawRowView(i)
	}
	if c.opts == nil {
		return exact.Coefficients(t, nil, 0)
	}
	return exact.Coefficients(t, c.opts.Weight, c.opts.LabelSmoothing)
}

// rowWeight returns what row i counts in Loss.Weight.
func (c *fuzzLoss) rowWeight(i int) float64 {
	w := c.sampleWeight(i)
	if w != 0 && c.soft == nil && c.opts != nil && c.opts.Weight != nil {
		w *= c.opts.Weight[c.target[i]]
	}
	return w
}

// weight returns the sum that the mean divides by, of rounded products.
func (c *fuzzLoss) weight() (sum *big.Float, ignored int) {
	sum = newWide()
	for i := range c.rows {
		if c.sampleWeight(i) == 0 {
			ignored++
			continue
		}
		sum.Add(sum, exact.Float(c.rowWeight(i)))
	}
	return sum, ignored
}

// big returns s as a big.Float.
func (s scaled) big() *big.Float {
	v := exact.Float(s.v.hi)
	v.Add(v, exact.Float(s.v.lo))
	if s.small {
		v.SetMantExp(v, -ddScaleBits)
	}
	return v
}

// An allowance is how far a result may be from its exact value: what the claims
// of the documentation and the roundings on the way to it allow, added up to
// first order. What is multiplied on the way is multiplied here by scale. It is
// kept times 2^allowanceBits, so that neither what a rounding of the smallest
// numbers loses nor what one of the largest does is out of range.
type allowance float64

const allowanceBits = 50

// ulps allows for an error of n ulp of v.
func (a *allowance) ulps(n float64, v *big.Float) {
	e := -1074
	if v.Sign() != 0 {
		e = max(v.MantExp(nil)-53, e)
	}
	*a += allowance(math.Ldexp(n, e+allowanceBits))
}

// relative allows for n roundings of v that do not underflow.
func (a *allowance) relative(n float64, v *big.Float) {
	f, _ := v.Float64()
	*a += allowance(n * 0x1p-53 * (1 << allowanceBits) * math.Abs(f))
}

// roundings allows for n roundings of v.
func (a *allowance) roundings(n float64, v *big.Float) {
	a.relative(n, v)
	*a += allowance(math.Ldexp(n, -1075+allowanceBits))
}

// sum allows for a sum in two words of n numbers whose magnitudes add up to
// size, before it is rounded to one. Each addition leaves at most 2^-53·size
// to the low word exactly, and the low word, at most n·2^-53·size, is rounded
// at each of them; merging words rounds it a few times more.
func (a *allowance) sum(n int, size *big.Float) {
	a.relative(float64(n)*float64(n+4)*0x1p-53, size)
}

// scale multiplies by |f|.
func (a *allowance) scale(f *big.Float) {
	v, _ := f.Float64()
	*a *= allowance(math.Abs(v))
}

// times returns what a allows for times |f|.
func (a allowance) times(f *big.Float) allowance {
	a.scale(f)
	return a
}

// admits reports whether got is near enough to want. It is infinite only where
// a number so near is too large for a double, and never -0.
func (a allowance) admits(got float64, want *big.Float) bool {
	if math.IsNaN(got) || got == 0 && math.Signbit(got) {
		return false
	}
	// And what is not of first order, and the last digits of what is exact.
	bound := float64(a) * (1 + 0x1p-30)
	if math.IsInf(got, 0) {
		top := exact.New().Abs(want)
		f, _ := top.Add(top, exact.New().SetMantExp(exact.Float(bound), -allowanceBits)).Float64()
		return math.IsInf(f, 1) && want.Signbit() == math.Signbit(got)
	}
	if want.MantExp(nil) > 1024 {
		return false
	}
	d := exact.Float(got)
	d.Sub(d, want)
	off, _ := d.SetMantExp(d, allowanceBits).Float64()
	return math.Abs(off) <= bound
}

// within returns a for a message.
func (a allowance) within() *big.Float {
	return exact.New().SetMantExp(exact.Float(float64(a)), -allowanceBits)
}

// newWide returns 0, with digits for any sum of doubles.
func newWide() *big.Float { return new(big.Float).SetPrec(2300) }

// rounded returns x as a double.
func rounded(x *big.Float) float64 {
	v, _ := x.Float64()
	return v
}

// overflows reports whether terms whose magnitudes add up to size may
// overflow before they cancel.
func overflows(size *big.Float) bool { return size.MantExp(nil) >= 1024 }

// check calls the functions and holds what they return to the definition.
// logProbs is set where x holds log-probabilities, for NLL.
func (c *fuzzLoss) check(t *testing.T, r *fuzzReader, funcs lossFuncs, logProbs bool) {
	t.Helper()
	loss, err1 := funcs.loss(r.in(c.x), c.opts)
	var eachDst []float64
	if r.byte()%2 == 0 {
		eachDst = make([]float64, c.rows)
	}
	each, err2 := funcs.each(eachDst, r.in(c.x), c.opts)
	dst, untouched := r.dst(c.rows, c.cols)
	gradLoss, err3 := funcs.grad(dst, r.in(c.x), c.opts)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if !untouched() {
		t.Fatal("wrote outside of dst")
	}
	if eachDst != nil && &eachDst[0] != &each[0] {
		t.Error("Each returned another slice than dst")
	}
	a, b := loss, gradLoss
	if math.IsNaN(a.Sum) && math.IsNaN(b.Sum) {
		a.Sum, b.Sum = 0, 0
	}
	if a != b {
		t.Errorf("the loss is %+v, that of Grad %+v", loss, gradLoss)
	}

	weight, ignored := c.weight()
	sum, special, correct := newWide(), 0.0, 0
	mean := c.opts == nil || c.opts.Reduction == logsoftmax.Mean
	var slice ddRow
	for i := range c.rows {
		x, row := c.x.RawRowView(i), dst.RawRowView(i)
		if math.IsInf(each[i], 0) || math.IsNaN(each[i]) {
			special += each[i]
		} else {
			sum.Add(sum, exact.Float(each[i]))
		}
		s := c.sampleWeight(i)
		if s != 0 && c.soft == nil && !logProbs && !hasNaN(x) && slices.Index(x, slices.Max(x)) == c.target[i] {
			correct++
		}
		var q []*big.Float
		if s != 0 {
			q = c.coefficients(i)
		}
		total := exact.New()
		for _, v := range q {
			total.Add(total, v)
		}
		zero := s == 0 || total.Sign() == 0
		zeroGrad := zero || mean && weight.Sign() == 0
		if zero && math.Float64bits(each[i]) != 0 {
			t.Errorf("row %d: the loss is %v, want 0", i, each[i])
		}
		if zeroGrad {
			for j, v := range row {
				if math.Float64bits(v) != 0 {
					t.Errorf("row %d: gradient %d is %v, want 0", i, j, v)
				}
			}
		}
		if zero {
			continue
		}
		scale := exact.Float(s)
		if mean && !zeroGrad {
			// What the mean divides by is the Weight that is returned.
			scale.Quo(scale, exact.Float(loss.Weight))
		}
		if logProbs {
			c.checkLoss(t, i, each[i], x, nil, q)
			if !zeroGrad {
				c.checkNLLGradient(t, i, row, q, scale)
			}
			continue
		}
		if isNaNRow(x) {
			if math.Float64bits(each[i]) != oneNaN {
				t.Errorf("row %d has no log-probabilities: the loss is %v (%#x)", i, each[i], math.Float64bits(each[i]))
			}
			for j, v := range row {
				if math.Float64bits(v) != oneNaN && !zeroGrad {
					t.Errorf("row %d has no log-probabilities: gradient %d is %v (%#x)", i, j, v, math.Float64bits(v))
				}
			}
			continue
		}
		slice.set(x)
		c.checkLoss(t, i, each[i], x, &slice, q)
		if !zeroGrad {
			c.checkGradient(t, i, row, &slice, q, total, scale)
		}
	}
	// Weight and Sum are the exact sums over the rows, rounded.
	if loss.Weight != rounded(weight) || loss.Rows != c.rows || loss.Ignored != ignored || loss.Correct != correct {
		t.Errorf("%+v, want weight %.17g, %d rows, %d ignored, %d correct", loss, weight, c.rows, ignored, correct)
	}
	switch {
	case special != 0 || math.IsNaN(special):
		if special != loss.Sum && !(math.IsNaN(special) && math.Float64bits(loss.Sum) == oneNaN) {
			t.Errorf("Sum is %v, want %v", loss.Sum, special)
		}
	case loss.Sum != rounded(sum):
		t.Errorf("Sum is %v, want %.17g", loss.Sum, sum)
	}
	if t.Failed() {
		t.Fatalf("%d×%d, targets %v, %+v", c.rows, c.cols, c.target, c.opts)
	}
}

// one returns 1 if a condition holds, and else 0.
func one(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}

// factors says what there is to multiply by.
func (c *fuzzLoss) factors() (weight, sampleWeight, smoothing, mean bool) {
	if c.opts == nil {
		return false, false, false, true
	}
	return c.opts.Weight != nil, c.opts.SampleWeight != nil, c.opts.LabelSmoothing > 0, c.opts.Reduction == logsoftmax.Mean
}

// coefficientRoundings returns how often a coefficient w[c]·((1-e)·t[c] + e/C)
// is rounded, at most. Of the two numbers that are added, neither negative, one
// is rounded twice, or once where t[c] is 1 for a label.
func (c *fuzzLoss) coefficientRoundings() float64 {
	weight, _, smoothing, _ := c.factors()
	if smoothing && c.soft != nil {
		return 3 + one(weight)
	}
	return 2*one(smoothing) + one(weight)
}

// checkLoss checks the loss of a row whose coefficients q are not all zero, of
// logits for which exact is set, or of log-probabilities x.
//
// A log-probability is within 2 ulp, and those of NLL are what they are. That
// of a label is multiplied by w·s, rounded. Where all classes have a
// coefficient, each of the terms is rounded, then the sum, then what s makes of
// it.
func (c *fuzzLoss) checkLoss(t *testing.T, i int, loss float64, x []float64, slice *ddRow, q []*big.Float) {
	t.Helper()
	weight, sampleWeight, smoothing, _ := c.factors()
	label := c.soft == nil && !smoothing
	want, size, special, n := exact.New(), exact.New(), 0.0, 0
	var allowed allowance
	for j, v := range x {
		if q[j].Sign() == 0 {
			continue
		}
		logProb, a := exact.New(), allowance(0)
		switch {
		case slice == nil && (math.IsNaN(v) || math.IsInf(v, 0)):
			special -= v
			continue
		case slice == nil:
			logProb.SetFloat64(v)
		case math.IsInf(v, -1) || math.IsInf(slice.logProb(j).v.hi, -1):
			special = math.Inf(1)
			continue
		default:
			logProb = slice.logProb(j).big()
			a.ulps(maxUlpLogProb, logProb)
		}
		term := exact.New().Mul(q[j], logProb)
		a.scale(q[j])
		if !label {
			a.relative(c.coefficientRoundings(), term)
			a.roundings(1, term)
		}
		allowed += a
		want.Sub(want, term)
		size.Add(size, term.Abs(term))
		n++
	}
	s := exact.Float(c.sampleWeight(i))
	if label {
		want.Mul(want, s)
		allowed.scale(s)
		allowed.roundings(one(weight && sampleWeight)+one(weight || sampleWeight), want)
	} else {
		if overflows(size) {
			return
		}
		allowed.sum(n, size)
		allowed.roundings(1, want)
		allowed.scale(s)
		want.Mul(want, s)
		allowed.roundings(one(sampleWeight), want)
	}
	if special != 0 || math.IsNaN(special) {
		special *= c.sampleWeight(i)
		if special != loss && !(math.IsNaN(special) && math.Float64bits(loss) == oneNaN) {
			t.Errorf("row %d: the loss is %v, want %v", i, loss, special)
		}
		return
	}
	if !allowed.admits(loss, want) {
		t.Errorf("row %d: the loss is %v, want %.17g within %.3g", i, loss, want, allowed.within())
	}
}

// sumsWithout returns for each of the numbers x the sum of the others, which is
// not a difference, lest one of 2^-1000 next to 1 be lost.
func sumsWithout(x []*big.Float) []*big.Float {
	sums := make([]*big.Float, len(x))
	before := exact.New()
	for j, v := range x {
		sums[j] = exact.New().Set(before)
		before.Add(before, v)
	}
	after := exact.New()
	for j := len(x) - 1; j >= 0; j-- {
		sums[j].Add(sums[j], after)
		after.Add(after, x[j])
	}
	return sums
}

// checkNLLGradient checks the gradient -q·s/Weight of a row: the coefficients
// are rounded as they are formed, then the product, then the quotient.
func (c *fuzzLoss) checkNLLGradient(t *testing.T, i int, row []float64, q []*big.Float, scale *big.Float) {
	t.Helper()
	weight, sampleWeight, smoothing, mean := c.factors()
	n := one(weight && sampleWeight) + one(mean)
	if smoothing {
		n = c.coefficientRoundings() + one(sampleWeight) + one(mean)
	}
	for j, v := range row {
		want := exact.New().Mul(q[j], scale)
		want.Neg(want)
		var allowed allowance
		allowed.roundings(n, want)
		if !allowed.admits(v, want) {
			t.Errorf("row %d: gradient %d is %v, want %.17g", i, j, v, want)
		}
	}
}

// checkGradient checks the gradient p·(Q-q) - q·(1-p), times scale, of a row
// whose coefficients q add up to total.
//
// p is within 4 ulp, and so is 1-p where it is the gradient of a label, times a
// weight, or where p is the only largest. Any other 1-p is a difference, and has
// the error of p and a rounding. Q is a sum in two words: Q-q is rounded twice,
// q·(1-p) once, and the rest of the formula once. Before that the coefficients
// were rounded as they were formed; the one of a label, w·s, rounds once. Then
// s/Weight is rounded, and so is what it multiplies.
func (c *fuzzLoss) checkGradient(t *testing.T, i int, row []float64, slice *ddRow, q []*big.Float, total, scale *big.Float) {
	t.Helper()
	weight, sampleWeight, smoothing, mean := c.factors()
	label := c.soft == nil && !smoothing
	n := one(mean) + one(sampleWeight || mean)
	if label {
		n = one(weight && sampleWeight) + one(mean) + one(weight || sampleWeight || mean)
	}
	without := sumsWithout(q)
	for j, v := range row {
		p, rest, others := slice.prob(j).big(), slice.complement(j).big(), without[j]
		var want *big.Float
		var allowed allowance
		switch {
		case label && j == c.target[i]:
			allowed.ulps(maxUlpLabelGrad, rest)
			allowed.scale(q[j])
			want = rest.Neg(rest.Mul(rest, q[j]))
		case label:
			allowed.ulps(maxUlpProb, p)
			allowed.scale(others)
			want = p.Mul(p, others)
		default:
			var ofP, ofRest, ofSum allowance
			ofP.ulps(maxUlpProb, p)
			if slice.count == 1 && j == slice.argmax {
				ofRest.ulps(maxUlpProb, rest)
			} else {
				ofRest = ofP
				ofRest.relative(1, rest)
			}
			ofSum.sum(len(q), total)
			allowed = ofP.times(others) + ofRest.times(q[j]) + ofSum.times(p)
			plus, minus := p.Mul(p, others), rest.Mul(rest, q[j])
			allowed.relative(2+c.coefficientRoundings(), plus)
			allowed.roundings(1+c.coefficientRoundings(), minus)
			want = exact.New().Sub(plus, minus)
			allowed.roundings(1, want)
		}
		allowed.scale(scale)
		want.Mul(want, scale)
		allowed.roundings(n, want)
		if !allowed.admits(v, want) {
			t.Errorf("row %d: gradient %d is %v, want %.17g within %.3g", i, j, v, want, allowed.within())
		}
	}
}

func hasNaN(x []float64) bool { return slices.ContainsFunc(x, math.IsNaN) }

func FuzzCrossEntropy(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		c := r.loss(false)
		c.check(t, r, crossEntropyFuncs(c.target), false)
	})
}

func FuzzSoftCrossEntropy(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		c := r.loss(true)
		c.check(t, r, softCrossEntropyFuncs(r.in(c.soft)), false)
	})
}

func FuzzNLL(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		c := r.loss(false)
		c.check(t, r, nllFuncs(c.target), true)
	})
}

// FuzzIdentity holds CrossEntropy to NLL of LogSoftmax, bit for bit.
func FuzzIdentity(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		c := r.loss(false)
		var logp mat.Dense
		logsoftmax.LogSoftmax(&logp, r.in(c.x), 1)
		a, err := logsoftmax.CrossEntropyEach(nil, r.in(c.x), c.target, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		b, err := logsoftmax.NLLEach(nil, r.in(&logp), c.target, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if !sameBits(a, b) {
			t.Fatalf("%d×%d, %+v: CrossEntropyEach %v, NLLEach of LogSoftmax %v", c.rows, c.cols, c.opts, a, b)
		}
		l, err := logsoftmax.CrossEntropy(r.in(c.x), c.target, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		m, err := logsoftmax.NLL(r.in(&logp), c.target, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if !sameBits([]float64{l.Sum, l.Weight, l.Mean()}, []float64{m.Sum, m.Weight, m.Mean()}) || l.Rows != m.Rows || l.Ignored != m.Ignored {
			t.Fatalf("%d×%d, %+v: CrossEntropy %+v, NLL of LogSoftmax %+v", c.rows, c.cols, c.opts, l, m)
		}
	})
}

// FuzzLogSoftmaxGrad holds the vector-Jacobian product to its definition, for
// log-probabilities that need not be normalised.
func FuzzLogSoftmaxGrad(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		rows, cols := r.shape()
		dim := r.below(4) - 2
		logp, upstream := r.matrix(rows, cols), mat.NewDense(rows, cols, nil)
		if r.byte()%2 == 0 {
			logsoftmax.LogSoftmax(logp, logp, dim)
		}
		for i := range rows {
			for j := range cols {
				switch b := r.byte(); b % 4 {
				case 1:
					upstream.Set(i, j, float64(int8(b)))
				case 2:
					upstream.Set(i, j, r.rest.NormFloat64())
				case 3:
					upstream.Set(i, j, math.Ldexp(r.rest.NormFloat64(), int(b)-128))
				}
			}
		}
		dst, untouched := r.dst(rows, cols)
		logsoftmax.LogSoftmaxGrad(dst, r.in(logp), r.in(upstream), dim)
		if !untouched() {
			t.Fatal("wrote outside of dst")
		}
		slicesOf := func(m *mat.Dense) mat.Matrix { return m }
		if dim == 0 || dim == -2 {
			slicesOf = func(m *mat.Dense) mat.Matrix { return m.T() }
		}
		n, _ := slicesOf(dst).Dims()
		for i := range n {
			logp, u, got := mat.Row(nil, i, slicesOf(logp)), mat.Row(nil, i, slicesOf(upstream)), mat.Row(nil, i, slicesOf(dst))
			checkVectorJacobian(t, logp, u, got)
			if t.Failed() {
				t.Fatalf("slice %d of %d×%d along %d", i, rows, cols, dim)
			}
		}
	})
}

// checkVectorJacobian checks u·(1-p) - p·(Σ-u) for p = e^logp, where Σ is the
// sum of a slice's u.
//
// The probability is within 1.2 ulp, and 1-p within 3. Each of the products is
// rounded, and so is their difference. Σ is a sum in two words, the high one
// being Σ rounded: less u, and then with the low word added, that is Σ-u with
// two roundings.
func checkVectorJacobian(t *testing.T, logp, u, got []float64) {
	t.Helper()
	sum, size := exact.New(), exact.New()
	for _, v := range u {
		sum.Add(sum, exact.Float(v))
		size.Add(size, exact.Float(math.Abs(v)))
	}
	for j, y := range logp {
		if math.IsNaN(y) {
			if math.Float64bits(got[j]) != oneNaN {
				t.Errorf("entry %d for a log-probability NaN is %v (%#x)", j, got[j], math.Float64bits(got[j]))
			}
			continue
		}
		if y > 709 {
			// The probability is about to overflow, or has.
			continue
		}
		p, rest := ddProbability(y)
		own, others := exact.New().Mul(rest, exact.Float(u[j])), exact.New().Sub(sum, exact.Float(u[j]))
		product := exact.New().Mul(p, others)
		if overflows(own) || overflows(product) {
			continue
		}
		want := exact.New().Sub(own, product)
		var ofP, ofRest, ofOthers allowance
		ofP.ulps(1.2, p)
		ofOthers.sum(len(u), size)
		ofOthers.relative(2, others)
		ofRest.ulps(3, rest)
		allowed := ofRest.times(exact.Float(u[j])) + ofP.times(others) + ofOthers.times(p)
		allowed.roundings(1, product)
		allowed.roundings(1, own)
		allowed.relative(1, want)
		if !allowed.admits(got[j], want) {
			t.Errorf("entry %d of %d for log-probability %v, upstream %v is %v, want %.17g within %.3g", j, len(u), y, u[j], got[j], want, allowed.within())
		}
	}
}

// ddProbability returns e^y and 1 - e^y for y below 2^10.
func ddProbability(y float64) (p, rest *big.Float) {
	p, rest = exact.New(), exact.Float(1)
	switch {
	case y < -1100:
	case math.Abs(y) < 0x1p-60:
		// 1-e^y = -(y + y²/2 + …)
		rest = exact.Float(y)
		rest.Mul(rest, exact.New().Add(exact.Float(-1), exact.Float(-y/2)))
		p.Sub(exact.Float(1), rest)
	case math.Abs(y) < 0.25:
		rest = scaled{v: ddExpm1(ddOf(y)).neg()}.big()
		p.Sub(exact.Float(1), rest)
	default:
		m, k := ddExp(ddOf(y))
		p = scaled{v: m}.big()
		p.SetMantExp(p, k)
		rest.Sub(rest, p)
	}
	return p, rest
}

// FuzzOverlap has arguments share storage: a result on exactly the region of
// an argument is what it is elsewhere, and one that overlaps it panics.
func FuzzOverlap(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		rows, cols := 1+r.below(4), 1+r.below(4)
		const size = 64
		array := make([]float64, size)
		for p := range array {
			array[p] = float64(int8(r.byte())) / 16
		}
		start := slices.Clone(array)
		// A region of r×c elements of the array, and where its elements are.
		region := func(rows, cols, offset, gap int) (*mat.Dense, func(i, j int) int) {
			stride := cols + gap
			var m mat.Dense
			m.SetRawMatrix(blas64.General{Rows: rows, Cols: cols, Stride: stride, Data: array[offset : offset+(rows-1)*stride+cols]})
			return &m, func(i, j int) int { return offset + i*stride + j }
		}
		offset, gap := r.below(8), r.below(4)
		dst, dstAt := region(rows, cols, offset, gap)
		input := func() (m mat.Matrix, at func(i, j int) int) {
			switch r.byte() % 4 {
			case 0:
				return region(rows, cols, offset, gap)
			case 1:
				return region(rows, cols, offset+r.below(8), gap)
			case 2:
				d, at := region(cols, rows, r.below(30), r.below(4))
				return d.T(), func(i, j int) int { return at(j, i) }
			}
			return region(rows, cols, r.below(40), r.below(4))
		}
		x, xAt := input()
		y, yAt := input()
		target := make([]int, rows)
		for i := range target {
			target[i] = r.below(cols)
		}
		dim := r.below(2)
		calls := []struct {
			name   string
			second bool // y is an input too
			call   func(dst *mat.Dense, x, y mat.Matrix) error
		}{
			{"LogSoftmax", false, func(dst *mat.Dense, x, _ mat.Matrix) error { logsoftmax.LogSoftmax(dst, x, dim); return nil }},
			{"Softmax", false, func(dst *mat.Dense, x, _ mat.Matrix) error { logsoftmax.Softmax(dst, x, dim); return nil }},
			{"LogSoftmaxGrad", true, func(dst *mat.Dense, x, y mat.Matrix) error { logsoftmax.LogSoftmaxGrad(dst, x, y, dim); return nil }},
			{"SoftmaxGrad", true, func(dst *mat.Dense, x, y mat.Matrix) error { logsoftmax.SoftmaxGrad(dst, x, y, dim); return nil }},
			{"NLLGrad", false, func(dst *mat.Dense, x, _ mat.Matrix) error {
				_, err := logsoftmax.NLLGrad(dst, x, target, nil)
				return err
			}},
			{"CrossEntropyGrad", false, func(dst *mat.Dense, x, _ mat.Matrix) error {
				_, err := logsoftmax.CrossEntropyGrad(dst, x, target, &logsoftmax.Options{LabelSmoothing: float64(dim) / 4})
				return err
			}},
			{"SoftCrossEntropyGrad", true, func(dst *mat.Dense, x, y mat.Matrix) error {
				_, err := logsoftmax.SoftCrossEntropyGrad(dst, x, y, nil)
				return err
			}},
		}
		c := calls[r.below(len(calls))]
		if c.name == "SoftCrossEntropyGrad" {
			for p := range array {
				array[p] = math.Abs(array[p])
			}
			start = slices.Clone(array)
		}
		conflict := overlapping(rows, cols, dstAt, xAt) || c.second && overlapping(rows, cols, dstAt, yAt)
		var want mat.Dense
		if err := c.call(&want, mat.DenseCopyOf(x), mat.DenseCopyOf(y)); err != nil {
			t.Fatal(err)
		}
		panicked := panicOf(func() {
			if err := c.call(dst, x, y); err != nil {
				t.Fatal(err)
			}
		})
		describe := fmt.Sprintf("%s of %d×%d from %d with stride %d", c.name, rows, cols, offset, cols+gap)
		if _, ok := panicked.(string); ok != conflict || panicked != nil && !ok {
			t.Fatalf("%s: panic %v; the arguments overlap: %v", describe, panicked, conflict)
		}
		written := make(map[int]bool)
		if !conflict {
			for i := range rows {
				for j := range cols {
					written[dstAt(i, j)] = true
					if math.Float64bits(dst.At(i, j)) != math.Float64bits(want.At(i, j)) {
						t.Fatalf("%s: element %d, %d is %v, elsewhere %v", describe, i, j, dst.At(i, j), want.At(i, j))
					}
				}
			}
		}
		for p, v := range array {
			if !written[p] && v != start[p] {
				t.Fatalf("%s: element %d of the array, which is not the result's, was written", describe, p)
			}
		}
	})
}

// overlapping reports whether two regions share an element, except where all
// elements are in the same places.
func overlapping(rows, cols int, a, b func(i, j int) int) bool {
	places, same := make(map[int]bool), true
	for i := range rows {
		for j := range cols {
			places[a(i, j)] = true
			same = same && a(i, j) == b(i, j)
		}
	}
	if same {
		return false
	}
	for i := range rows {
		for j := range cols {
			if places[b(i, j)] {
				return true
			}
		}
	}
	return false
}

// FuzzRefused has labels, weights and distributions of any value: an error is
// returned exactly where the documentation says, about the first such place,
// and then nothing is written.
func FuzzRefused(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		soft := r.byte()%2 == 0
		c := r.loss(soft)
		if c.opts == nil {
			c.opts = new(logsoftmax.Options)
		}
		for range 1 + r.below(2) {
			switch v := fuzzSpecial[r.below(len(fuzzSpecial))]; r.byte() % 5 {
			case 0:
				if c.opts.Weight != nil {
					c.opts.Weight[r.below(c.cols)] = v
				}
			case 1:
				if c.opts.SampleWeight != nil {
					c.opts.SampleWeight[r.below(c.rows)] = v
				}
			case 2:
				c.opts.LabelSmoothing = v
			case 3:
				if soft {
					c.soft.Set(r.below(c.rows), r.below(c.cols), v)
				}
			default:
				if !soft {
					c.target[r.below(c.rows)] = int(int8(r.byte())) << (r.byte() % 24)
				}
			}
		}
		want := c.refusal(soft)
		dst := mat.NewDense(c.rows, c.cols, nil)
		dst.Apply(func(i, j int, _ float64) float64 { return float64(i - j) }, dst)
		before := mat.DenseCopyOf(dst)
		var empty mat.Dense
		funcs := crossEntropyFuncs(c.target)
		if soft {
			funcs = softCrossEntropyFuncs(r.in(c.soft))
		}
		l, err := funcs.grad(dst, r.in(c.x), c.opts)
		if fmt.Sprint(err) != fmt.Sprint(want) {
			t.Fatalf("error %v, want %v", err, want)
		}
		if err == nil {
			return
		}
		if _, err := funcs.grad(&empty, r.in(c.x), c.opts); err == nil || !empty.IsEmpty() || l != (logsoftmax.Loss{}) || !sameMatrix(dst, before) {
			t.Fatalf("with the error %v there are results", err)
		}
		if each, err := funcs.each(nil, c.x, c.opts); err != nil && each != nil {
			t.Fatalf("with the error %v there is a slice", err)
		}
	})
}

// apart reports whether no power of two up to 2^900 brings both the largest class
// weight below 2^900 and what is least of a smoothing, its share for a class or a
// coefficient, above 2^-1015.
func (c *fuzzLoss) apart(smoothing float64) bool {
	least, most := 1.0, 0.0
	for _, w := range c.opts.Weight {
		if w > 0 {
			least, most = min(least, w), max(most, w)
		}
	}
	if most == 0 {
		return false
	}
	least = math.Log2(least) + math.Log2(smoothing) - math.Log2(float64(c.cols))
	return least+900-max(0, math.Log2(most)) < -1015
}

// refusal returns the error of the Grad function.
func (c *fuzzLoss) refusal(soft bool) error {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	for j, v := range c.opts.Weight {
		if !finite(v) || v < 0 {
			return &logsoftmax.ValueError{Name: "Weight", Row: -1, Col: j, Value: v}
		}
	}
	for i, v := range c.opts.SampleWeight {
		if !finite(v) || v < 0 && c.opts.Reduction == logsoftmax.Mean {
			return &logsoftmax.ValueError{Name: "SampleWeight", Row: i, Col: -1, Value: v}
		}
	}
	if e := c.opts.LabelSmoothing; !(e >= 0 && e <= 1) {
		return &logsoftmax.ValueError{Name: "LabelSmoothing", Row: -1, Col: -1, Value: e}
	} else if e > 0 && c.apart(e) {
		return &logsoftmax.ValueError{Name: "LabelSmoothing", Row: -1, Col: -1, Value: e}
	}
	for i := range c.rows {
		if !soft {
			if y := c.target[i]; (y < 0 || y >= c.cols) && !slices.Contains(c.ignore(), y) {
				return &logsoftmax.TargetError{Row: i, Target: y, Classes: c.cols}
			}
			continue
		}
		for j, v := range c.soft.RawRowView(i) {
			if c.sampleWeight(i) != 0 && (!finite(v) || v < 0) {
				return &logsoftmax.ValueError{Name: "target", Row: i, Col: j, Value: v}
			}
		}
	}
	for i := range c.rows {
		if c.opts.Weight == nil || c.sampleWeight(i) == 0 {
			continue
		}
		if !soft && c.opts.SampleWeight == nil {
			break
		}
		if !soft {
			y := c.target[i]
			if slices.Contains(c.ignore(), y) {
				continue
			}
			w := c.opts.Weight[y]
			if p := math.Abs(w * c.sampleWeight(i)); w != 0 && (p < 0x1p-1022 || p > math.MaxFloat64) {
				return &logsoftmax.ValueError{Name: "Weight", Row: -1, Col: y, Value: w}
			}
			continue
		}
		for j, w := range c.opts.Weight {
			if w > 0x1p128 && w*c.soft.At(i, j) > math.MaxFloat64 {
				return &logsoftmax.ValueError{Name: "Weight", Row: -1, Col: j, Value: w}
			}
		}
	}
	return nil
}

// FuzzLoss splits a batch, sends the Losses of the parts and adds them up again.
func FuzzLoss(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		rows := 1 + r.below(200)
		logp, target, sample := mat.NewDense(rows, 1, nil), make([]int, rows), make([]float64, rows)
		// Of one size, or of any.
		widths := [...]int{1, 40, 120, 2000}
		width, sampleWidth := widths[r.below(len(widths))], widths[r.below(2)]
		sum, weight := newWide(), newWide()
		for i := range rows {
			exponent := int(r.byte()) | int(r.byte())<<8
			logp.Set(i, 0, -math.Ldexp(r.rest.Float64(), exponent%width-width/2))
			sample[i] = math.Ldexp(r.rest.NormFloat64(), int(r.byte())%sampleWidth-sampleWidth/2)
			if r.byte()%8 == 0 {
				sample[i] = 0
			}
			sum.Add(sum, exact.Float(-logp.At(i, 0)*sample[i]))
			weight.Add(weight, exact.Float(sample[i]))
		}
		lossOf := func(i, n int) logsoftmax.Loss {
			l, err := logsoftmax.NLL(logp.Slice(i, i+n, 0, 1), target[i:i+n], &logsoftmax.Options{SampleWeight: sample[i : i+n]})
			if err != nil {
				t.Fatal(err)
			}
			if r.byte()%2 == 0 {
				return l
			}
			text, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			var sent logsoftmax.Loss
			if err := json.Unmarshal(text, &sent); err != nil || sent != l {
				t.Fatalf("%s: %#v, %v, want %#v", text, sent, err, l)
			}
			return sent
		}
		var parts []logsoftmax.Loss
		for i := 0; i < rows; {
			n := min(rows-i, 1+r.below(40))
			parts = append(parts, lossOf(i, n))
			i += n
		}
		r.rest.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		for len(parts) > 1 {
			// In any association.
			k := r.below(len(parts) - 1)
			parts[k].Add(parts[k+1])
			parts = slices.Delete(parts, k+1, k+2)
		}
		l := parts[0]
		if whole := lossOf(0, rows); l != whole {
			t.Errorf("%#v in parts, %#v as a whole", l, whole)
		}
		if l.Sum != rounded(sum) {
			t.Errorf("Sum is %v, want %.17g", l.Sum, sum)
		}
		if l.Weight != rounded(weight) {
			t.Errorf("Weight is %v, want %.17g", l.Weight, weight)
		}
		if l.Rows != rows {
			t.Errorf("%d rows, want %d", l.Rows, rows)
		}
		if l.Weight != 0 {
			s, _ := sum.Rat(nil)
			w, _ := weight.Rat(nil)
			if mean, _ := s.Quo(s, w).Float64(); l.Mean() != mean {
				t.Errorf("Mean is %v, want %v", l.Mean(), mean)
			}
		}
	})
}

// FuzzLossJSON reads any text as a Loss, and what it is read as again.
func FuzzLossJSON(f *testing.F) {
	for _, text := range []string{
		`{"Sum":0.5,"Weight":2,"Rows":3,"Ignored":1,"Correct":2}`,
		`{"Sum":"NaN","Weight":"-Infinity","Rows":1,"Ignored":0,"Correct":0}`,
		`{"Sum":-1,"Weight":2,"Rows":2,"Ignored":0,"Correct":0,"Rest":{"Sum":"-0x4000000000000004p-62","Unjudged":2}}`,
		`{"Sum":"Infinity","Weight":2,"Rows":2,"Ignored":0,"Correct":0,"Rest":{"Sum":"0x4p+1022","Weight":"0x2p0"}}`,
		`{"Rest":{"Weight":"0x1p-1074"}}`, `null`, `{}`, `{"Sum":1e999}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var l, again logsoftmax.Loss
		if json.Unmarshal(text, &l) != nil {
			if l != (logsoftmax.Loss{}) {
				t.Errorf("%s: an error, and %#v", text, l)
			}
			return
		}
		written, err := json.Marshal(l)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if rewritten, err := json.Marshal(again); err != nil || !bytes.Equal(rewritten, written) {
			t.Errorf("%s: %s, then %s, %v", text, written, rewritten, err)
		}
		l.Mean()
		l.Add(again)
	})
}

// FuzzClassWeights holds the class weights to their formulas.
func FuzzClassWeights(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		classes := 1 + r.below(5)
		target, sample := make([]int, 1+r.below(30)), []float64(nil)
		if r.byte()%2 == 0 {
			sample = make([]float64, len(target))
		}
		counts := make([]*big.Float, classes)
		for c := range counts {
			counts[c] = exact.New()
		}
		for i := range target {
			target[i] = r.below(classes+1) - 1
			w := 1.0
			if sample != nil {
				w = math.Ldexp(r.rest.Float64(), int(r.byte()%40)-20)
				sample[i] = w
			}
			if target[i] >= 0 {
				counts[target[i]].Add(counts[target[i]], exact.Float(w))
			}
		}
		got, err := logsoftmax.ClassCounts(target, classes, &logsoftmax.Options{SampleWeight: sample, Ignore: []int{-1}})
		if err != nil {
			t.Fatal(err)
		}
		// Counts of any size, in some runs.
		anySize := r.byte()%4 == 0
		total := exact.New()
		for c := range got {
			var allowed allowance
			allowed.ulps(0.5, counts[c])
			if !allowed.admits(got[c], counts[c]) {
				t.Errorf("count %d is %v, want %.17g", c, got[c], counts[c])
			}
			if got[c] == 0 {
				got[c] = math.Ldexp(1+r.rest.Float64(), int(r.byte()%60)-30)
			}
			if anySize {
				got[c] = math.Ldexp(1+r.rest.Float64(), 8*int(r.byte())-1020)
			}
			total.Add(total, exact.Float(got[c]))
		}
		balanced, err := logsoftmax.BalancedWeights(got)
		for c, n := range got {
			want := exact.New().Quo(total, exact.New().Mul(exact.Float(float64(classes)), exact.Float(n)))
			if f, _ := want.Float64(); math.IsInf(f, 0) {
				var value *logsoftmax.ValueError
				if balanced != nil || !errors.As(err, &value) || *value != (logsoftmax.ValueError{Name: "counts", Row: -1, Col: c, Value: n}) {
					t.Errorf("balanced weights of %v, of which %d is too large: %v, %v", got, c, balanced, err)
				}
				// Refused, as it was to be.
				err = nil
				break
			}
			if balanced == nil {
				continue
			}
			var allowed allowance
			allowed.ulps(0.501, want)
			if !allowed.admits(balanced[c], want) {
				t.Errorf("balanced weight %d of %v is %v, want %.17g", c, got, balanced[c], want)
			}
		}
		if err != nil {
			t.Errorf("balanced weights of %v: %v", got, err)
		}
		// Next to 1, or next to 0.
		beta := math.Ldexp(1+r.rest.Float64(), -2-int(r.byte()%50))
		if r.byte()%8 > 0 {
			beta = 1 - beta
		}
		effective, err := logsoftmax.EffectiveNumberWeights(got, beta)
		if err != nil {
			t.Fatal(err)
		}
		v, sum := make([]*big.Float, classes), exact.New()
		logBeta := exact.Log(exact.Float(beta))
		for c := range v {
			power := exact.Expm1(exact.New().Mul(logBeta, exact.Float(got[c])))
			v[c] = exact.New().Quo(exact.Float(1), power.Neg(power))
			sum.Add(sum, v[c])
		}
		for c, w := range effective {
			want := exact.New().Quo(v[c], sum)
			want.Mul(want, exact.Float(float64(classes)))
			var allowed allowance
			allowed.ulps(0.501, want)
			if !allowed.admits(w, want) {
				t.Errorf("effective weight %d of %v, beta %v, is %v, want %.17g", c, got, beta, w, want)
			}
		}
	})
}

// FuzzLabels reads raw bits as labels.
func FuzzLabels(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		v := mat.NewVecDense(1+r.below(5), nil)
		var want []int
		var bad *logsoftmax.ValueError
		for i := range v.Len() {
			x := float64(int8(r.byte()))
			switch b := r.byte(); b % 8 {
			case 0:
				x = r.bits()
			case 1:
				x = fuzzSpecial[r.below(len(fuzzSpecial))]
			case 2:
				x = math.Ldexp(x, int(b/8))
			case 3:
				x = -x * math.MinInt
			}
			v.SetVec(i, x)
			whole := new(big.Float).SetInf(false)
			if !math.IsNaN(x) {
				whole = big.NewFloat(x)
			}
			n, accuracy := whole.Int64()
			if (accuracy != big.Exact || int64(int(n)) != n) && bad == nil {
				bad = &logsoftmax.ValueError{Name: "label", Row: i, Col: -1, Value: x}
			}
			want = append(want, int(n))
		}
		got, err := logsoftmax.Labels(nil, v)
		if bad != nil {
			if fmt.Sprint(err) != bad.Error() || got != nil {
				t.Fatalf("%v, error %v, want %v", got, err, bad)
			}
			return
		}
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("labels %v, %v, want %v", got, err, want)
		}
	})
}

// FuzzMalformed has matrices whose storage may be too short for their shape, or
// their stride for their rows: every function refuses them, whichever argument
// it is, and only them, and touches nothing beyond.
func FuzzMalformed(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		rows, cols := 1+r.below(9), 1+r.below(70)
		const canary = 12345.5
		var arrays [][]float64
		malformed := false
		matrix := func(rows, cols int) *mat.Dense {
			stride := cols + r.below(4)
			if r.below(8) == 0 {
				stride = 1 + r.below(cols)
			}
			n := (rows-1)*stride + cols
			if r.below(8) == 0 {
				n -= 1 + r.below(n)
			}
			malformed = malformed || stride < cols || n < (rows-1)*stride+cols
			array := make([]float64, n+64)
			for p := range array {
				array[p] = 0.25
				if p >= n {
					array[p] = canary
				}
			}
			arrays = append(arrays, array[n:])
			m := new(mat.Dense)
			m.SetRawMatrix(blas64.General{Rows: rows, Cols: cols, Stride: stride, Data: array[:n]})
			return m
		}
		input := func() mat.Matrix {
			switch r.below(3) {
			case 0:
				return matrix(cols, rows).T()
			case 1:
				return mat.Transpose{Matrix: matrix(rows, cols).T()}
			}
			return matrix(rows, cols)
		}
		target := make([]int, rows)
		dim := r.below(2)
		opts := &logsoftmax.Options{LabelSmoothing: 0.5 * float64(r.below(2))}
		var p any
		switch r.below(9) {
		case 0:
			dst, x := matrix(rows, cols), input()
			p = panicOf(func() { logsoftmax.LogSoftmax(dst, x, dim) })
		case 1:
			dst, x := matrix(rows, cols), input()
			p = panicOf(func() { logsoftmax.Softmax(dst, x, dim) })
		case 2:
			x := input()
			p = panicOf(func() { logsoftmax.LogSumExp(nil, x, dim) })
		case 3:
			dst, x, u := matrix(rows, cols), input(), input()
			p = panicOf(func() { logsoftmax.LogSoftmaxGrad(dst, x, u, dim) })
		case 4:
			dst, x, u := matrix(rows, cols), input(), input()
			p = panicOf(func() { logsoftmax.SoftmaxGrad(dst, x, u, dim) })
		case 5:
			dst, x := matrix(rows, cols), input()
			p = panicOf(func() { _, _ = logsoftmax.NLLGrad(dst, x, target, opts) })
		case 6:
			dst, x := matrix(rows, cols), input()
			p = panicOf(func() { _, _ = logsoftmax.CrossEntropyGrad(dst, x, target, opts) })
		case 7:
			dst, x, q := matrix(rows, cols), input(), input()
			p = panicOf(func() { _, _ = logsoftmax.SoftCrossEntropyGrad(dst, x, q, opts) })
		default:
			x, w := input(), matrix(3, cols)
			grad := logsoftmax.LinearGrad{X: matrix(rows, cols), W: matrix(3, cols)}
			p = panicOf(func() { _, _ = logsoftmax.LinearCrossEntropyGrad(grad, x, w, nil, target, opts) })
		}
		if refused := isStringWith(p, "storage, want ") || isStringWith(p, "stride "); refused != malformed || p != nil && !refused {
			t.Fatalf("a matrix is malformed: %v; panic %v", malformed, p)
		}
		for _, beyond := range arrays {
			for _, v := range beyond {
				if v != canary {
					t.Fatal("written beyond the storage of a matrix")
				}
			}
		}
	})
}
