// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package exact

import (
	"math"
	"math/big"
)

// A Row holds the exact functions of one row of logits, at least one of them
// finite and none of them NaN or +Inf.
type Row struct {
	LogProb    []*big.Float // nil for a logit -Inf
	Prob       []*big.Float
	Complement []*big.Float // 1 - Prob
	LogSum     *big.Float   // log of the sum of exp(x-max)
	LogSumExp  *big.Float
	Max        float64
}

// NewRow returns the functions of logits x.
func NewRow(x []float64) Row {
	largest := 0
	for j, v := range x {
		if v > x[largest] {
			largest = j
		}
	}
	r := Row{
		LogProb:    make([]*big.Float, len(x)),
		Prob:       make([]*big.Float, len(x)),
		Complement: make([]*big.Float, len(x)),
		Max:        x[largest],
	}
	gap := make([]*big.Float, len(x)) // x - max
	e := make([]*big.Float, len(x))   // its exponential
	same := make(map[float64]int)     // where each value was first
	others := New()                   // the sum of e but for the largest
	for j, v := range x {
		if at, ok := same[v]; ok {
			gap[j], e[j] = gap[at], e[at]
		} else {
			same[v] = j
			e[j] = New()
			if !math.IsInf(v, -1) {
				gap[j] = New().Sub(Float(v), Float(r.Max))
				e[j] = Exp(gap[j])
			}
		}
		if j != largest {
			others.Add(others, e[j])
		}
	}
	sum := New().Add(Float(1), others)
	r.LogSum = Log1p(others)
	r.LogSumExp = New().Add(Float(r.Max), r.LogSum)
	for j, v := range x {
		if at := same[v]; at < j && at != largest && j != largest {
			r.LogProb[j], r.Prob[j], r.Complement[j] = r.LogProb[at], r.Prob[at], r.Complement[at]
			continue
		}
		if gap[j] != nil {
			r.LogProb[j] = New().Sub(gap[j], r.LogSum)
		}
		r.Prob[j] = New().Quo(e[j], sum)
		rest := others
		if j != largest {
			rest = New().Sub(sum, e[j])
		}
		r.Complement[j] = New().Quo(rest, sum)
	}
	return r
}

// Coefficients returns what multiplies the negated log-probabilities of a row
// in its loss: w[c]·((1-smoothing)·t[c] + smoothing/C) for a distribution t over
// the classes, and for a label the same with t one-hot. A nil w is all 1.
func Coefficients(t, w []float64, smoothing float64) []*big.Float {
	e := Float(smoothing)
	keep := New().Sub(Float(1), e)
	e.Quo(e, Float(float64(len(t))))
	q := make([]*big.Float, len(t))
	for c := range q {
		q[c] = Float(t[c])
		q[c].Mul(q[c], keep)
		q[c].Add(q[c], e)
		if w != nil {
			q[c].Mul(q[c], Float(w[c]))
		}
	}
	return q
}

// OneHot returns the distribution of label y.
func OneHot(classes, y int) []float64 {
	t := make([]float64, classes)
	t[y] = 1
	return t
}

// Loss returns the sum of -q·LogProb, with 0 times -Inf being 0, and nil for
// +Inf.
func (r *Row) Loss(q []*big.Float) *big.Float {
	sum := New()
	for c, lp := range r.LogProb {
		if q[c].Sign() == 0 {
			continue
		}
		if lp == nil {
			return nil
		}
		sum.Sub(sum, New().Mul(q[c], lp))
	}
	return sum
}

// Grad returns the gradient of Loss with respect to the logits, p·Q - q with Q
// the sum of q, and for each class the larger in magnitude of the two terms
// p·(Q-q) and q·(1-p) whose difference it is as well.
func (r *Row) Grad(q []*big.Float) (grad, larger []*big.Float) {
	others := sumOfOthers(q)
	for c := range q {
		plus := New().Mul(r.Prob[c], others[c])
		minus := New().Mul(q[c], r.Complement[c])
		grad = append(grad, New().Sub(plus, minus))
		if plus.Cmp(minus) < 0 {
			plus = minus
		}
		larger = append(larger, plus)
	}
	return grad, larger
}

// sumOfOthers returns for each of v the sum of all but that one.
func sumOfOthers(v []*big.Float) []*big.Float {
	sums := make([]*big.Float, len(v))
	before := New()
	for i, x := range v {
		sums[i] = New().Set(before)
		before.Add(before, x)
	}
	after := New()
	for i := len(v) - 1; i >= 0; i-- {
		sums[i].Add(sums[i], after)
		after.Add(after, v[i])
	}
	return sums
}

// LogSoftmaxGrad returns the vector-Jacobian product of log-softmax,
// u·(1-p) - p·Σu over the others, with p the exponentials of the finite
// log-probabilities as they are given. unit is the larger of |u|·(1-p) and p
// times the sum of the other |u|.
func LogSoftmaxGrad(logp, upstream []float64) (grad, unit []*big.Float) {
	u, size := make([]*big.Float, len(upstream)), make([]*big.Float, len(upstream))
	for j, v := range upstream {
		u[j], size[j] = Float(v), Float(math.Abs(v))
	}
	others, sizes := sumOfOthers(u), sumOfOthers(size)
	for j, v := range logp {
		lp := Float(v)
		p, complement := Exp(lp), New()
		complement.Neg(Expm1(lp))
		own := New().Mul(u[j], complement)
		grad = append(grad, New().Sub(own, New().Mul(p, others[j])))
		own.Abs(own)
		rest := New().Mul(p, sizes[j])
		if own.Cmp(rest) < 0 {
			own = rest
		}
		unit = append(unit, own)
	}
	return grad, unit
}

// SoftmaxGrad returns the vector-Jacobian product of softmax,
// p·(u·(1-p) - Σ p·u over the others), with p the exponentials of the finite
// log-probabilities as they are given. unit is the larger of p·|u|·(1-p) and p
// times the sum of the other p·|u|.
func SoftmaxGrad(logp, upstream []float64) (grad, unit []*big.Float) {
	p, pu, size := make([]*big.Float, len(logp)), make([]*big.Float, len(logp)), make([]*big.Float, len(logp))
	for j, v := range logp {
		p[j] = Exp(Float(v))
		pu[j] = New().Mul(p[j], Float(upstream[j]))
		size[j] = New().Abs(pu[j])
	}
	others, sizes := sumOfOthers(pu), sumOfOthers(size)
	for j, v := range logp {
		own := New().Neg(Expm1(Float(v)))
		own.Mul(own, Float(upstream[j]))
		d := New().Sub(own, others[j])
		grad = append(grad, d.Mul(d, p[j]))
		own.Abs(own)
		if own.Cmp(sizes[j]) < 0 {
			own = sizes[j]
		}
		unit = append(unit, New().Mul(own, p[j]))
	}
	return grad, unit
}

// Ulp returns the distance of the doubles next to v, which is 2^-1074 for v of
// less than 2^-1022.
func Ulp(v *big.Float) *big.Float {
	e := -1074
	if v.Sign() != 0 {
		e = max(v.MantExp(nil)-53, e)
	}
	return New().SetMantExp(Float(1), e)
}

// Error returns |got-want| in units of the distance of the doubles next to
// unit. It is 0 for an infinity that want rounds to, and +Inf for NaN and any
// other infinity.
func Error(got float64, want, unit *big.Float) float64 {
	if math.IsNaN(got) {
		return math.Inf(1)
	}
	if math.IsInf(got, 0) {
		if rounded, _ := want.Float64(); rounded == got {
			return 0
		}
		return math.Inf(1)
	}
	d := Float(got)
	d.Sub(d, want)
	d.Quo(d, Ulp(unit))
	ulps, _ := d.Float64()
	return math.Abs(ulps)
}
