// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"encoding/binary"
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
		var exact ddRow
		for i := range n {
			x, logp, p := mat.Row(nil, i, slicesOf(x)), mat.Row(nil, i, slicesOf(logp)), mat.Row(nil, i, slicesOf(p))
			checkSlice(t, &exact, x, logp, p, lse[i])
			if t.Failed() {
				t.Fatalf("slice %d of %d×%d along %d", i, rows, cols, dim)
			}
		}
	})
}

// checkSlice checks what was made of one slice.
func checkSlice(t *testing.T, exact *ddRow, x, logp, p []float64, lse float64) {
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
	exact.set(x)
	for j, v := range x {
		if math.IsInf(v, -1) {
			if !math.IsInf(logp[j], -1) || math.Float64bits(p[j]) != 0 {
				t.Errorf("entry %d is -Inf: log-probability %v, probability %v", j, logp[j], p[j])
			}
			continue
		}
		want := exact.logProb(j)
		if math.IsInf(want.v.hi, -1) {
			if !math.IsInf(logp[j], -1) {
				t.Errorf("log-probability %d is %v, want -Inf", j, logp[j])
			}
		} else if u := want.ulpsFrom(logp[j], want.v.hi); !(u <= maxUlpLogProb) {
			t.Errorf("log-probability %d of %v is %v, off by %v ulp", j, x, logp[j], u)
		}
		prob := exact.prob(j)
		if u := prob.ulpsFrom(p[j], prob.v.hi); !(u <= maxUlpProb) {
			t.Errorf("probability %d of %v is %v, off by %v ulp", j, x, p[j], u)
		}
	}
	want := exact.logSumExp()
	if math.IsInf(want.v.hi, 1) {
		if !math.IsInf(lse, 1) {
			t.Errorf("LogSumExp is %v, want +Inf", lse)
		}
		return
	}
	unit := math.Max(math.Max(math.Abs(exact.max), math.Abs(exact.logSumDD.hi)), math.Abs(want.v.hi))
	if want.small {
		unit = exact.logSum.v.hi
	}
	if u := want.ulpsFrom(lse, unit); !(u <= maxUlpLogSumExp) {
		t.Errorf("LogSumExp of %v is %v, off by %v ulp", x, lse, u)
	}
}

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
			c.opts.LabelSmoothing = float64(1+r.below(16)) / 16
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
				row[r.below(c.cols)] = 1
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
		if r.byte()%8 == 0 {
			if ignore := c.ignore(); len(ignore) > 0 {
				c.target[i] = ignore[0]
			}
		}
	}
	return c
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
		t = oneHot(c.cols, c.target[i])
	} else {
		t = c.soft.RawRowView(i)
	}
	if c.opts == nil {
		return exactCoefficients(t, nil, 0)
	}
	return exactCoefficients(t, c.opts.Weight, c.opts.LabelSmoothing)
}

// weight returns the sum that the mean divides by, of rounded products.
func (c *fuzzLoss) weight() (sum *big.Float, ignored int) {
	sum = exactNew()
	for i := range c.rows {
		w := c.sampleWeight(i)
		if w == 0 {
			ignored++
			continue
		}
		if c.soft == nil && c.opts != nil && c.opts.Weight != nil {
			w *= c.opts.Weight[c.target[i]]
		}
		sum.Add(sum, exactFloat(w))
	}
	return sum, ignored
}

// ddBig returns s as a big.Float.
func (s scaled) big() *big.Float {
	v := exactFloat(s.v.hi)
	v.Add(v, exactFloat(s.v.lo))
	if s.small {
		v.SetMantExp(v, -ddScaleBits)
	}
	return v
}

// near reports whether got is within some units of 2^-53 of size, or of the
// smallest numbers, from want; got may overflow where size does.
func near(got float64, want, size *big.Float, units float64) bool {
	if math.IsNaN(got) {
		return false
	}
	if s, _ := size.Float64(); math.IsInf(s, 0) || math.Abs(s) > math.MaxFloat64/1e6 {
		return true
	}
	if math.IsInf(got, 0) {
		return false
	}
	d := exactNew().Sub(exactFloat(got), want)
	bound := exactNew().Mul(exactNew().Abs(size), exactFloat(units*0x1p-53))
	bound.Add(bound, exactFloat(units*0x1p20*math.SmallestNonzeroFloat64))
	return d.Abs(d).Cmp(bound) <= 0
}

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
	sum, magnitude, special, correct := exactNew(), exactNew(), 0.0, 0
	mean := c.opts == nil || c.opts.Reduction == logsoftmax.Mean
	var exact ddRow
	for i := range c.rows {
		x, row := c.x.RawRowView(i), dst.RawRowView(i)
		if math.IsInf(each[i], 0) || math.IsNaN(each[i]) {
			special += each[i]
		} else {
			e := exactFloat(each[i])
			sum.Add(sum, e)
			magnitude.Add(magnitude, e.Abs(e))
		}
		s := c.sampleWeight(i)
		if s != 0 && c.soft == nil && !logProbs && !hasNaN(x) && slices.Index(x, slices.Max(x)) == c.target[i] {
			correct++
		}
		var q []*big.Float
		if s != 0 {
			q = c.coefficients(i)
		}
		total := exactNew()
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
		scale := exactFloat(s)
		if mean && !zeroGrad {
			scale.Quo(scale, weight)
		}
		if logProbs {
			c.checkNLLRow(t, i, x, row, each[i], q, scale, zeroGrad)
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
		exact.set(x)
		want, infinite := exactNew(), false
		for j := range x {
			lp := exact.logProb(j)
			switch {
			case q[j].Sign() == 0:
			case math.IsInf(x[j], -1) || math.IsInf(lp.v.hi, -1):
				infinite = true
			default:
				want.Sub(want, lp.big().Mul(lp.big(), q[j]))
			}
		}
		if infinite {
			if each[i] != math.Inf(1)*s {
				t.Errorf("row %d: the loss is %v, want %v", i, each[i], math.Inf(1)*s)
			}
		} else if want.Mul(want, exactFloat(s)); !near(each[i], want, want, 12) {
			t.Errorf("row %d: the loss is %v, want %.17g", i, each[i], want)
		}
		if zeroGrad {
			continue
		}
		for j, v := range row {
			p, rest := exact.prob(j).big(), exact.complement(j).big()
			others := exactNew().Sub(total, q[j])
			plus, minus := p.Mul(p, others), rest.Mul(rest, q[j])
			want := exactNew().Sub(plus, minus)
			size := plus
			if plus.Cmp(minus) < 0 {
				size = minus
			}
			want.Mul(want, scale)
			size = exactNew().Mul(size, scale)
			if !near(v, want, size, 20) {
				t.Errorf("row %d: gradient %d is %v, want %.17g", i, j, v, want)
			}
			if v == 0 && math.Signbit(v) {
				t.Errorf("row %d: gradient %d is -0", i, j)
			}
		}
	}
	if w, _ := weight.Float64(); math.Abs(loss.Weight-w) > 0x1p-52*math.Abs(w) || loss.Rows != c.rows || loss.Ignored != ignored || loss.Correct != correct {
		t.Errorf("%+v, want weight %v, %d rows, %d ignored, %d correct", loss, w, c.rows, ignored, correct)
	}
	switch {
	case special != 0 || math.IsNaN(special):
		// Finite losses may have overflowed to the other infinity.
		if m, _ := magnitude.Float64(); m < math.MaxFloat64/1e6 && special != loss.Sum && !(math.IsNaN(special) && math.Float64bits(loss.Sum) == oneNaN) {
			t.Errorf("Sum is %v, want %v", loss.Sum, special)
		}
	case !near(loss.Sum, sum, sum, 2.01) && !near(loss.Sum, sum, magnitude, 0x1p-40):
		t.Errorf("Sum is %v, want %.17g", loss.Sum, sum)
	}
	if t.Failed() {
		t.Fatalf("%d×%d, targets %v, %+v", c.rows, c.cols, c.target, c.opts)
	}
}

func hasNaN(x []float64) bool { return slices.ContainsFunc(x, math.IsNaN) }

// checkNLLRow checks the loss and gradient of a row of log-probabilities, for
// coefficients of which not all are zero.
func (c *fuzzLoss) checkNLLRow(t *testing.T, i int, x, row []float64, loss float64, q []*big.Float, scale *big.Float, zeroGrad bool) {
	t.Helper()
	want, size, special := exactNew(), exactNew(), 0.0
	for j, v := range x {
		if q[j].Sign() != 0 {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				special -= v
				continue
			}
			term := exactNew().Mul(q[j], exactFloat(-v))
			want.Add(want, term)
			size.Add(size, term.Abs(term))
		}
		if zeroGrad {
			continue
		}
		g := exactNew().Mul(q[j], scale)
		g.Neg(g)
		if !near(row[j], g, g, 10) || row[j] == 0 && math.Signbit(row[j]) {
			t.Errorf("row %d: gradient %d is %v, want %.17g", i, j, row[j], g)
		}
	}
	s := exactFloat(c.sampleWeight(i))
	if special != 0 || math.IsNaN(special) {
		special *= c.sampleWeight(i)
		if special != loss && !(math.IsNaN(special) && math.Float64bits(loss) == oneNaN) {
			// Finite terms may have overflowed before.
			if v, _ := size.Float64(); v < math.MaxFloat64/1e6 {
				t.Errorf("row %d: the loss is %v, want %v", i, loss, special)
			}
		}
		return
	}
	unscaled := exactNew().Set(size)
	if v, _ := unscaled.Float64(); v > math.MaxFloat64/1e6 {
		return
	}
	if want.Mul(want, s); !near(loss, want, size.Mul(size, s), 12) {
		t.Errorf("row %d: the loss is %v, want %.17g", i, loss, want)
	}
}

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
		n, length := slicesOf(dst).Dims()
		for i := range n {
			sum := exactNew()
			for j := range length {
				sum.Add(sum, exactFloat(slicesOf(upstream).At(i, j)))
			}
			for j := range length {
				y, u, got := slicesOf(logp).At(i, j), slicesOf(upstream).At(i, j), slicesOf(dst).At(i, j)
				if math.IsNaN(y) {
					if math.Float64bits(got) != oneNaN {
						t.Fatalf("entry %d of slice %d for a log-probability NaN is %v (%#x)", j, i, got, math.Float64bits(got))
					}
					continue
				}
				if y > 700 {
					// The probability is about to overflow, or has.
					continue
				}
				p, rest := exactNew(), exactFloat(1)
				switch {
				case y < -1100:
				case math.Abs(y) < 0x1p-40:
					// 1-e^y = -(y + y²/2 + …)
					rest = exactFloat(y)
					rest.Mul(rest, exactFloat(-1-y/2))
					p.Sub(exactFloat(1), rest)
				default:
					m, k := ddExp(ddOf(y))
					p = (scaled{v: m}).big()
					p.SetMantExp(p, k)
					rest.Sub(rest, p)
				}
				own, others := rest.Mul(rest, exactFloat(u)), exactNew().Sub(sum, exactFloat(u))
				// The probability is a double, subnormal maybe.
				rounding := exactNew().Mul(exactNew().Abs(others), exactFloat(math.SmallestNonzeroFloat64))
				others.Mul(others, p)
				want := exactNew().Sub(own, others)
				size := exactNew().Abs(own)
				if a := exactNew().Abs(others); a.Cmp(size) > 0 {
					size = a
				}
				size.Add(size, rounding.SetMantExp(rounding, 53))
				if v, _ := size.Float64(); v > math.MaxFloat64/1e6 {
					// What is subtracted may overflow.
					continue
				}
				if !near(got, want, size, 16) || got == 0 && math.Signbit(got) {
					t.Fatalf("entry %d of slice %d of %d×%d along %d for log-probability %v, upstream %v is %v, want %.17g", j, i, rows, cols, dim, y, u, got, want)
				}
			}
		}
	})
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

// refusal returns the error of the Grad function.
func (c *fuzzLoss) refusal(soft bool) error {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	for j, v := range c.opts.Weight {
		if !finite(v) || v < 0 {
			return &logsoftmax.ValueError{Name: "Weight", Row: -1, Col: j, Value: v}
		}
	}
	for i, v := range c.opts.SampleWeight {
		if !finite(v) {
			return &logsoftmax.ValueError{Name: "SampleWeight", Row: i, Col: -1, Value: v}
		}
	}
	if e := c.opts.LabelSmoothing; !(e >= 0 && e <= 1) {
		return &logsoftmax.ValueError{Name: "LabelSmoothing", Row: -1, Col: -1, Value: e}
	}
	for i, v := range c.opts.SampleWeight {
		if v < 0 && c.opts.Reduction == logsoftmax.Mean {
			return &logsoftmax.ValueError{Name: "SampleWeight", Row: i, Col: -1, Value: v}
		}
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
	return nil
}

// FuzzLoss splits a batch and adds the losses up again.
func FuzzLoss(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFuzzReader(data)
		rows := 1 + r.below(200)
		logp, target, sample := mat.NewDense(rows, 1, nil), make([]int, rows), make([]float64, rows)
		sum, weight, magnitude, weights := exactNew(), exactNew(), exactNew(), exactNew()
		for i := range rows {
			logp.Set(i, 0, -math.Ldexp(r.rest.Float64(), int(r.byte()%120)-60))
			sample[i] = math.Ldexp(r.rest.NormFloat64(), int(r.byte()%60)-30)
			if r.byte()%8 == 0 {
				sample[i] = 0
			}
			term := exactFloat(-logp.At(i, 0) * sample[i])
			sum.Add(sum, term)
			magnitude.Add(magnitude, term.Abs(term))
			term = exactFloat(sample[i])
			weight.Add(weight, term)
			weights.Add(weights, term.Abs(term))
		}
		var parts []logsoftmax.Loss
		for i := 0; i < rows; {
			n := min(rows-i, 1+r.below(40))
			l, err := logsoftmax.NLL(logp.Slice(i, i+n, 0, 1), target[i:i+n], &logsoftmax.Options{SampleWeight: sample[i : i+n]})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, l)
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
		if !near(l.Sum, sum, sum, 2.01) && !near(l.Sum, sum, magnitude, 0x1p-40) {
			t.Errorf("Sum is %v, want %.17g", l.Sum, sum)
		}
		if !near(l.Weight, weight, weight, 2.01) && !near(l.Weight, weight, weights, 0x1p-40) {
			t.Errorf("Weight is %v, want %.17g", l.Weight, weight)
		}
		if l.Rows != rows {
			t.Errorf("%d rows, want %d", l.Rows, rows)
		}
		if l.Weight != 0 {
			q := exactNew().Quo(exactFloat(l.Sum), exactFloat(l.Weight))
			if !near(l.Mean(), q, q, 5) {
				t.Errorf("Mean is %v, want %.17g", l.Mean(), q)
			}
		}
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
			counts[c] = exactNew()
		}
		for i := range target {
			target[i] = r.below(classes+1) - 1
			w := 1.0
			if sample != nil {
				w = math.Ldexp(r.rest.Float64(), int(r.byte()%40)-20)
				sample[i] = w
			}
			if target[i] >= 0 {
				counts[target[i]].Add(counts[target[i]], exactFloat(w))
			}
		}
		got, err := logsoftmax.ClassCounts(target, classes, &logsoftmax.Options{SampleWeight: sample, Ignore: []int{-1}})
		if err != nil {
			t.Fatal(err)
		}
		total := exactNew()
		for c := range got {
			if !near(got[c], counts[c], counts[c], 1) {
				t.Errorf("count %d is %v, want %.17g", c, got[c], counts[c])
			}
			if got[c] == 0 {
				got[c] = math.Ldexp(1+r.rest.Float64(), int(r.byte()%60)-30)
			}
			total.Add(total, exactFloat(got[c]))
		}
		balanced, err := logsoftmax.BalancedWeights(got)
		if err != nil {
			t.Fatal(err)
		}
		for c, w := range balanced {
			want := exactNew().Quo(total, exactNew().Mul(exactFloat(float64(classes)), exactFloat(got[c])))
			if !near(w, want, want, 4) {
				t.Errorf("balanced weight %d of %v is %v, want %.17g", c, got, w, want)
			}
		}
		beta := 1 - math.Ldexp(1+r.rest.Float64(), -2-int(r.byte()%50))
		effective, err := logsoftmax.EffectiveNumberWeights(got, beta)
		if err != nil {
			t.Fatal(err)
		}
		v, sum := make([]*big.Float, classes), exactNew()
		logBeta := exactLog(exactFloat(beta))
		for c := range v {
			power := exactExpm1(exactNew().Mul(logBeta, exactFloat(got[c])))
			v[c] = exactNew().Quo(exactFloat(1), power.Neg(power))
			sum.Add(sum, v[c])
		}
		for c, w := range effective {
			want := exactNew().Quo(v[c], sum)
			want.Mul(want, exactFloat(float64(classes)))
			if !near(w, want, want, 2.1) {
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
			switch b := r.byte(); {
			case b%8 == 0:
				x = r.bits()
			case b%8 == 1:
				x = fuzzSpecial[r.below(len(fuzzSpecial))]
			case b%8 == 2:
				x = math.Ldexp(x, int(b/8))
			case b%8 == 3:
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
