// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"math"
	"math/big"
	"testing"
)

// The exact functions: the definitions of the package's documentation
// evaluated as they stand, in math/big, with digits to spare. They share no
// code and no idea with the package, and their only virtue is that they are
// easy to believe. TestExactAgainstConformance holds them to values that
// mpmath computed.

// exactPrec is their working precision in bits. exactExp loses some 30 of
// them, the rest a handful.
const exactPrec = 320

func exactFloat(x float64) *big.Float { return exactNew().SetFloat64(x) }

func exactNew() *big.Float { return new(big.Float).SetPrec(exactPrec) }

// exactLn2 is log 2, the sum of 1/(n·2^n).
var exactLn2 = func() *big.Float {
	sum := exactNew()
	for n := 1; n <= exactPrec+8; n++ {
		term := exactNew().SetMantExp(exactFloat(1), -n)
		sum.Add(sum, term.Quo(term, exactFloat(float64(n))))
	}
	return sum
}()

// exactExp returns e^x for x below 2^20, and 0 where that is less than
// 2^-1000000.
func exactExp(x *big.Float) *big.Float {
	if x.IsInf() || x.Sign() == 0 {
		if x.Signbit() && x.IsInf() {
			return exactNew()
		}
		return exactFloat(1)
	}
	near, _ := x.Float64()
	switch {
	case near > 1<<20:
		panic("exactExp: out of range")
	case near < -1<<20:
		return exactNew()
	}
	// e^x = 2^k · (e^(r/2^halvings))^(2^halvings)
	const halvings = 20
	k := int(math.Round(near / math.Ln2))
	r := exactNew().Mul(exactFloat(float64(k)), exactLn2)
	r.Sub(x, r)
	r.SetMantExp(r, -halvings)
	sum, term := exactFloat(1), exactFloat(1)
	for n := 1; term.Sign() != 0 && term.MantExp(nil) > -exactPrec-8; n++ {
		term.Mul(term, r)
		term.Quo(term, exactFloat(float64(n)))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum.SetMantExp(sum, k)
}

// exactExpm1 returns e^x - 1, with a small relative error, for x that exactExp
// takes.
func exactExpm1(x *big.Float) *big.Float {
	if x.Sign() == 0 {
		return exactNew()
	}
	if x.IsInf() || x.MantExp(nil) > -8 {
		e := exactExp(x)
		return e.Sub(e, exactFloat(1))
	}
	sum, term := exactNew(), exactFloat(1)
	for n := 1; n == 1 || term.MantExp(nil) > sum.MantExp(nil)-exactPrec-8; n++ {
		term.Mul(term, x)
		term.Quo(term, exactFloat(float64(n)))
		sum.Add(sum, term)
	}
	return sum
}

// exactLog returns log y for y > 0, with a small absolute error: it has no
// relative accuracy for y next to 1.
func exactLog(y *big.Float) *big.Float {
	m := exactNew()
	e := y.MantExp(m)
	near, _ := m.Float64()
	l := exactNew().Mul(exactFloat(float64(e)), exactLn2)
	l.Add(l, exactFloat(math.Log(near)))
	// Halley's iteration triples the correct digits.
	for range 2 {
		ex := exactExp(l)
		num := exactNew().Sub(y, ex)
		den := exactNew().Add(y, ex)
		num.Quo(num, den)
		l.Add(l, num.Add(num, num))
	}
	return l
}

// exactLog1p returns log(1+t) for t >= 0, with a small relative error.
func exactLog1p(t *big.Float) *big.Float {
	if t.Sign() == 0 {
		return exactNew()
	}
	one := exactFloat(1)
	if t.MantExp(nil) > -8 {
		return exactLog(one.Add(one, t))
	}
	// 2 atanh z = 2 (z + z³/3 + z⁵/5 + …), z = t/(2+t)
	z := exactNew().Add(exactFloat(2), t)
	z.Quo(t, z)
	z2 := exactNew().Mul(z, z)
	sum, power := exactNew(), exactNew().Set(z)
	for n := 1; ; n += 2 {
		term := exactNew().Quo(power, exactFloat(float64(n)))
		sum.Add(sum, term)
		if term.MantExp(nil) < sum.MantExp(nil)-exactPrec-8 {
			break
		}
		power.Mul(power, z2)
	}
	return sum.Add(sum, sum)
}

// exactRow holds the exact functions of one row of logits, at least one of
// them finite and none of them NaN or +Inf. The log-probability of a logit
// -Inf is nil.
type exactRow struct {
	logProb    []*big.Float
	prob       []*big.Float
	complement []*big.Float // 1 - prob
	logSum     *big.Float   // log of the sum of exp(x-max)
	logSumExp  *big.Float
	max        float64
}

func newExactRow(x []float64) exactRow {
	argmax := 0
	for j, v := range x {
		if v > x[argmax] {
			argmax = j
		}
	}
	r := exactRow{
		logProb:    make([]*big.Float, len(x)),
		prob:       make([]*big.Float, len(x)),
		complement: make([]*big.Float, len(x)),
		max:        x[argmax],
	}
	gap := make([]*big.Float, len(x)) // x - max
	e := make([]*big.Float, len(x))   // its exponential
	others := exactNew()              // the sum of e but for the entry argmax
	for j, v := range x {
		e[j] = exactNew()
		if math.IsInf(v, -1) {
			continue
		}
		gap[j] = exactFloat(v)
		gap[j].Sub(gap[j], exactFloat(r.max))
		e[j] = exactExp(gap[j])
		if j != argmax {
			others.Add(others, e[j])
		}
	}
	sum := exactNew().Add(exactFloat(1), others)
	r.logSum = exactLog1p(others)
	r.logSumExp = exactNew().Add(exactFloat(r.max), r.logSum)
	for j := range x {
		if gap[j] != nil {
			r.logProb[j] = exactNew().Sub(gap[j], r.logSum)
		}
		r.prob[j] = exactNew().Quo(e[j], sum)
		rest := others
		if j != argmax {
			rest = exactNew().Sub(sum, e[j])
		}
		r.complement[j] = exactNew().Quo(rest, sum)
	}
	return r
}

// exactCoefficients returns what multiplies the negated log-probabilities of
// a row in its loss: w[c]·((1-smoothing)·t[c] + smoothing/C) for a distribution
// t over the classes, and for a label y
// (1-smoothing)·w[y]·[c = y] + smoothing/C·w[c], which is the same with t one-hot.
func exactCoefficients(t, w []float64, smoothing float64) []*big.Float {
	e := exactFloat(smoothing)
	keep := exactNew().Sub(exactFloat(1), e)
	e.Quo(e, exactFloat(float64(len(t))))
	q := make([]*big.Float, len(t))
	for c := range q {
		q[c] = exactFloat(t[c])
		q[c].Mul(q[c], keep)
		q[c].Add(q[c], e)
		if w != nil {
			q[c].Mul(q[c], exactFloat(w[c]))
		}
	}
	return q
}

// loss returns the sum of -q·logProb, with 0 times -Inf being 0, and nil for
// +Inf.
func (r *exactRow) loss(q []*big.Float) *big.Float {
	sum := exactNew()
	for c, lp := range r.logProb {
		if q[c].Sign() == 0 {
			continue
		}
		if lp == nil {
			return nil
		}
		sum.Sub(sum, exactNew().Mul(q[c], lp))
	}
	return sum
}

// grad returns the gradient of loss with respect to the logits,
// p·Q - q with Q the sum of q, and for each class the larger in magnitude of
// the two terms p·(Q-q) and q·(1-p) whose difference it is as well.
func (r *exactRow) grad(q []*big.Float) (grad, larger []*big.Float) {
	for c := range q {
		rest := exactNew() // Q - q[c]
		for d := range q {
			if d != c {
				rest.Add(rest, q[d])
			}
		}
		plus := exactNew().Mul(r.prob[c], rest)
		minus := exactNew().Mul(q[c], r.complement[c])
		grad = append(grad, exactNew().Sub(plus, minus))
		if plus.Cmp(minus) < 0 {
			plus = minus
		}
		larger = append(larger, plus)
	}
	return grad, larger
}

func oneHot(classes, y int) []float64 {
	t := make([]float64, classes)
	t[y] = 1
	return t
}

// exactUlp returns the distance of the doubles next to v, which is 2^-1074 for
// v of less than 2^-1022.
func exactUlp(v *big.Float) *big.Float {
	e := -1074
	if v.Sign() != 0 {
		e = max(v.MantExp(nil)-53, e)
	}
	return exactNew().SetMantExp(exactFloat(1), e)
}

// exactError returns |got-want| in units of the distance of the doubles next
// to unit. It is 0 for an infinity that want rounds to.
func exactError(got float64, want, unit *big.Float) float64 {
	if math.IsNaN(got) {
		return math.Inf(1)
	}
	if math.IsInf(got, 0) {
		if rounded, _ := want.Float64(); rounded == got {
			return 0
		}
		return math.Inf(1)
	}
	d := exactFloat(got)
	d.Sub(d, want)
	d.Quo(d, exactUlp(unit))
	ulps, _ := d.Float64()
	return math.Abs(ulps)
}

func TestExactFunctions(t *testing.T) {
	near := func(a, b *big.Float, bits int) bool {
		d := exactNew().Sub(a, b)
		return d.Sign() == 0 || d.MantExp(nil) <= max(a.MantExp(nil), b.MantExp(nil))-bits
	}
	// To 60 digits: log 2 and e.
	for _, c := range []struct {
		name, want string
		got        *big.Float
	}{
		{"log 2", "0.693147180559945309417232121458176568075500134360255254120680", exactLn2},
		{"exp 1", "2.71828182845904523536028747135266249775724709369995957496697", exactExp(exactFloat(1))},
		{"log 10", "2.30258509299404568401799145468436420760110148862877297603333", exactLog(exactFloat(10))},
	} {
		want, _, err := big.ParseFloat(c.want, 10, exactPrec, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		if !near(c.got, want, 195) {
			t.Errorf("%s = %.60g, want %s", c.name, c.got, c.want)
		}
	}
	for _, x := range []float64{1e-300, 1e-17, 0.001, 0.0078125, 0.5, 1, 3.7, 36.9, 708.3, 1e5} {
		v := exactFloat(x)
		if got := exactLog(exactExp(v)); x > 1e-3 && !near(got, v, 250) {
			t.Errorf("log(exp(%g)) = %g", x, got)
		}
		minus := exactNew().Neg(v)
		if got := exactNew().Mul(exactExp(v), exactExp(minus)); !near(got, exactFloat(1), 280) {
			t.Errorf("exp(%g)·exp(-%[1]g) = %g", x, got)
		}
		if got := exactNew().Sub(exactExp(v), exactFloat(1)); x > 1e-3 && !near(got, exactExpm1(v), 250) {
			t.Errorf("expm1(%g) = %g, want %g", x, exactExpm1(v), got)
		}
		if got := exactLog1p(exactExpm1(v)); !near(got, v, 250) {
			t.Errorf("log1p(expm1(%g)) = %g", x, got)
		}
		// log1p(t) + log1p(t) = log1p(2t + t²), on both sides of the branch.
		double := exactNew().Mul(v, v)
		double.Add(double, v)
		double.Add(double, v)
		l := exactLog1p(v)
		if got := exactLog1p(double); !near(got, exactNew().Add(l, l), 250) {
			t.Errorf("log1p(2·%g + ²) = %g, want %g", x, got, l)
		}
	}
}
