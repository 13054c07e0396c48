// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax/internal/kernel"
)

// exactOf returns the exact sum of x.
func exactOf(x ...float64) kernel.ExactSum {
	var s kernel.ExactSum
	for _, v := range x {
		s.Add(v)
	}
	return s
}

// bigSum returns the exact sum of x.
func bigSum(x ...float64) *big.Float {
	sum := new(big.Float).SetPrec(2300)
	for _, v := range x {
		sum.Add(sum, new(big.Float).SetFloat64(v))
	}
	return sum
}

// lossOf returns the Loss of rows with these losses and weights 1, or with the
// weights that are given, as NLL adds them up.
func lossOf(t *testing.T, losses, weights []float64) Loss {
	t.Helper()
	if len(losses) == 0 {
		return Loss{}
	}
	logp := mat.NewDense(len(losses), 1, nil)
	for i, l := range losses {
		logp.Set(i, 0, -l)
	}
	loss, err := NLL(logp, make([]int, len(losses)), &Options{SampleWeight: weights})
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// sumCases returns losses that are hard to add up.
func sumCases(r *rand.Rand) map[string][]float64 {
	equal, wide, signed, confident := make([]float64, 100000), make([]float64, 20000), make([]float64, 20000), make([]float64, 1000)
	for i := range equal {
		equal[i] = 0.1
	}
	for i := range wide {
		wide[i] = math.Ldexp(r.Float64(), r.IntN(200)-100)
		signed[i] = r.NormFloat64() * 1e10
	}
	for i := range confident {
		confident[i] = math.Exp(-700 * r.Float64())
	}
	return map[string][]float64{
		"equal":     equal,
		"wide":      wide,
		"signed":    signed,
		"confident": confident,
		"cancel":    {1e100, 1, -1e100, 0x1p-60},
		"cancelled": {0x1p60, 1, 0x1p-60, -0x1p60, -1},
		"neighbour": {-0x1p10, -0x1p-43, -0x1p-100},
		"overflow":  {1e308, -1e308, 1e308, 1e308, -1e308},
		"infinite":  {1e308, 1e308, 1e308},
		"tiny":      {5e-324, 1e-310, -5e-324, 3e-300},
		"empty":     {},
	}
}

// TestLossAdd holds that the Loss of a batch, and that of its parts in any
// order, has the exact sums, rounded once, and is one and the same.
func TestLossAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, x := range sumCases(r) {
		want, _ := bigSum(x...).Float64()
		whole := lossOf(t, x, nil)
		if whole.Sum != want || whole.Weight != float64(len(x)) || whole.Rows != len(x) {
			t.Errorf("%s: %v, want %v", name, whole, want)
		}
		for range 5 {
			var total Loss
			for i := 0; i < len(x); {
				n := min(1+r.IntN(1+len(x)/3), len(x)-i)
				part := lossOf(t, x[i:i+n], nil)
				if r.IntN(2) == 0 {
					total.Add(part)
				} else {
					part.Add(total)
					total = part
				}
				i += n
			}
			if total != whole {
				t.Errorf("%s: in parts %#v, want %#v", name, total, whole)
			}
			r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
		}
	}

	a := Loss{Sum: 1, Weight: 2, Rows: 3, Ignored: 1, Correct: 2}
	a.Add(Loss{Sum: 10, Weight: 20, Rows: 30, Ignored: 10, Correct: 20})
	if want := (Loss{Sum: 11, Weight: 22, Rows: 33, Ignored: 11, Correct: 22}); a != want {
		t.Errorf("got %#v, want %#v", a, want)
	}
	a.Add(a)
	if want := (Loss{Sum: 22, Weight: 44, Rows: 66, Ignored: 22, Correct: 44}); a != want {
		t.Errorf("got %#v, want %#v", a, want)
	}
}

// TestLossExactWeight holds the sum of the weights to the exact one, and so the
// sum of losses that are multiplied by them.
func TestLossExactWeight(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	for name, w := range sumCases(r) {
		if len(w) == 0 {
			continue
		}
		want, _ := bigSum(w...).Float64()
		losses := make([]float64, len(w))
		for i := range losses {
			losses[i] = 0.5
		}
		loss := lossOf(t, losses, w)
		if loss.Weight != want {
			t.Errorf("%s: Weight %v, want %v", name, loss.Weight, want)
		}
		if loss.Mean() != 0.5 {
			t.Errorf("%s: Mean %v", name, loss.Mean())
		}
		// Distributions and logits.
		logits := mat.NewDense(len(w), 2, nil)
		target := mat.NewDense(len(w), 2, nil)
		for i := range w {
			target.Set(i, 1, 1)
		}
		soft, err := SoftCrossEntropy(logits, target, &Options{SampleWeight: w})
		if err != nil || soft.Weight != want {
			t.Errorf("%s: Weight of SoftCrossEntropy %v, %v, want %v", name, soft.Weight, err, want)
		}
		hard, err := CrossEntropy(logits, make([]int, len(w)), &Options{SampleWeight: w})
		if err != nil || hard.Weight != want {
			t.Errorf("%s: Weight of CrossEntropy %v, %v, want %v", name, hard.Weight, err, want)
		}
		each, err := CrossEntropyEach(nil, logits, make([]int, len(w)), &Options{SampleWeight: w})
		if wantSum, _ := bigSum(each...).Float64(); err != nil || hard.Sum != wantSum || soft.Sum != wantSum {
			t.Errorf("%s: Sums %v and %v, %v, want %v", name, hard.Sum, soft.Sum, err, wantSum)
		}
	}
}

// TestLossByHand holds that the exported fields count for what they are in a
// Loss that was filled in or changed by hand.
func TestLossByHand(t *testing.T) {
	for _, extra := range []float64{0, 1e-25, 1e-300} {
		tenths, thirds := make([]float64, 1000), make([]float64, 1000)
		for i := range tenths {
			tenths[i], thirds[i] = 0.1, 1.0/3
		}
		tenths[7], thirds[9] = extra, extra
		loss := lossOf(t, tenths, thirds)
		plain := Loss{Sum: loss.Sum, Weight: loss.Weight, Rows: loss.Rows}
		if loss == plain {
			t.Fatal("no digits to lose")
		}
		if got, want := plain.Mean(), loss.Sum/loss.Weight; got != want {
			t.Errorf("Mean of fields %v, want %v", got, want)
		}
		for _, by := range [][2]float64{{0x1p-70, 0x1p-100}, {3, 2}, {0, 1}, {math.Inf(1), 1}, {math.NaN(), 1}} {
			changed := loss
			changed.Sum, changed.Weight = by[0], by[1]
			if got, want := changed.Mean(), by[0]/by[1]; got != want && want == want {
				t.Errorf("Mean after a change by hand: %v, want %v", got, want)
			}
			var total Loss
			total.Add(changed)
			if total.Sum != by[0] && by[0] == by[0] || total.Weight != by[1] {
				t.Errorf("after a change by hand: %v, want %v", total, by)
			}
		}
	}
}

// TestLossMean holds the mean to the quotient of the exact sums, rounded once.
func TestLossMean(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	exact := func(x []float64) *big.Rat {
		q, _ := bigSum(x...).Rat(nil)
		return q
	}
	check := func(sums, weights []float64) {
		t.Helper()
		sum, weight := exactOf(sums...), exactOf(weights...)
		loss := newLoss(&sum, &weight, 1, 0)
		if loss.Weight == 0 {
			return
		}
		want, _ := new(big.Rat).Quo(exact(sums), exact(weights)).Float64()
		if got := loss.Mean(); got != want+0 || math.Signbit(got) != math.Signbit(want+0) {
			t.Errorf("Mean of %x and %x = %x, want %x", sums, weights, got, want)
		}
	}
	some := func(least, most int) []float64 {
		x := make([]float64, 1+r.IntN(5))
		for i := range x {
			x[i] = math.Ldexp(r.NormFloat64(), least+r.IntN(most-least+1))
		}
		return x
	}
	for range 4000 {
		check(some(-20, 20), some(0, 10))
		check(some(-1074, 1022), some(-1074, 1022))
		check(some(-1074, -1000), some(-30, 30))
		check(some(1000, 1022), some(980, 1022))
		// A quotient near the middle between two doubles, or there.
		q, w := 1+math.Ldexp(float64(r.IntN(1<<20)), -52), math.Ldexp(float64(1+r.IntN(1<<20)), r.IntN(100))
		middle := []float64{q * w, math.FMA(q, w, -q*w), 0x1p-53 * w}
		check(middle, []float64{w})
		check(append(middle, math.Ldexp(float64(1-2*r.IntN(2)), -50-r.IntN(1000))), []float64{w})
		p := math.Ldexp(1, r.IntN(70)-20)
		check([]float64{q * p, 0x1p-53 * p}, []float64{p})
		check([]float64{q * p, 0x1p-53 * p, math.Ldexp(float64(1-2*r.IntN(2)), -100-r.IntN(970))}, []float64{p})
		check([]float64{q * p, 0x1p-53 * p}, []float64{p, math.Ldexp(float64(1-2*r.IntN(2)), -60-r.IntN(1000))})
		small := math.Ldexp(1, -1060-r.IntN(14))
		check([]float64{small, 0x1p-1074}, []float64{2})
		check([]float64{small, 0x1p-1074}, []float64{2, math.Ldexp(float64(1-2*r.IntN(2)), -r.IntN(900))})
	}
	// Two rows of the issue that this mended: too small, too large.
	tiny := lossOf(t, []float64{0x1p-1060, 0x1p-1074}, []float64{0x1.0fab7037e5edp-01, 0x1.04a964deb9871p-01})
	product := float64(0x1.0fab7037e5edp-01 * 0x1p-1060)
	last := float64(0x1.04a964deb9871p-01 * 0x1p-1074)
	want, _ := new(big.Rat).Quo(exact([]float64{product, last}), exact([]float64{0x1.0fab7037e5edp-01, 0x1.04a964deb9871p-01})).Float64()
	if got := tiny.Mean(); got != want {
		t.Errorf("Mean of tiny losses %v, want %v", got, want)
	}
	sample := []float64{0x1.0fab7037e5edp-01, 0x1.04a964deb9871p-01}
	logits := mat.NewDense(2, 2, []float64{0x1.45ea0b5292a5cp+09, 0, 0x1.45aff409b9014p+09, 0})
	each, err := CrossEntropyEach(nil, logits, []int{0, 0}, &Options{SampleWeight: sample})
	if err != nil {
		t.Fatal(err)
	}
	confident, err := CrossEntropy(logits, []int{0, 0}, &Options{SampleWeight: sample})
	want, _ = new(big.Rat).Quo(exact(each), exact(sample)).Float64()
	if got := confident.Mean(); err != nil || got != want {
		t.Errorf("Mean of confident rows %v, %v, want %v", got, err, want)
	}
	large := lossOf(t, []float64{0.5, 0.75}, []float64{1e308, 1e308})
	if got := large.Mean(); got != 0.625 || !math.IsInf(large.Weight, 1) {
		t.Errorf("Mean %v of %v", got, large)
	}

	nan, inf := math.NaN(), math.Inf(1)
	for _, test := range []struct {
		loss Loss
		want float64
	}{
		{Loss{}, nan},
		{Loss{Sum: 3}, nan},
		{Loss{Sum: inf}, nan},
		{Loss{Sum: 3, Weight: 2}, 1.5},
		{Loss{Sum: 3, Weight: -2}, -1.5},
		{Loss{Sum: 0, Weight: -2}, 0},
		{Loss{Sum: inf, Weight: 2}, inf},
		{Loss{Sum: inf, Weight: -2}, -inf},
		{Loss{Sum: -inf, Weight: 2}, -inf},
		{Loss{Sum: nan, Weight: 2}, nan},
		{Loss{Sum: 1, Weight: inf}, 0},
		{Loss{Sum: inf, Weight: inf}, nan},
		{Loss{Sum: 1e308, Weight: 1e-5}, inf},
		{Loss{Sum: math.MaxFloat64, Weight: 1}, math.MaxFloat64},
		{Loss{Sum: 5e-324, Weight: 1}, 5e-324},
		{Loss{Sum: 5e-324, Weight: 3}, 0},
		{Loss{Sum: -5e-324, Weight: 3}, 0},
		{Loss{Sum: 3e-310, Weight: 3}, 1e-310},
		{Loss{Sum: 1e-300, Weight: 10}, 1e-301},
	} {
		if got := test.loss.Mean(); math.Float64bits(got) != math.Float64bits(kernel.Canonical(test.want)) {
			t.Errorf("Mean of %v = %v, want %v", test.loss, got, test.want)
		}
	}
}

func TestLossPerplexity(t *testing.T) {
	for _, test := range []struct {
		loss Loss
		want float64
	}{
		{Loss{Sum: 0, Weight: 4, Rows: 4}, 1},
		{Loss{Sum: 4, Weight: 4, Rows: 4}, math.E},
		{Loss{Sum: 7 * math.Ln10, Weight: 7, Rows: 7}, 10},
		{Loss{Sum: math.Inf(1), Weight: 1, Rows: 1}, math.Inf(1)},
		{Loss{Sum: 1000, Weight: 1, Rows: 1}, math.Inf(1)},
		{Loss{Sum: -1000, Weight: 1, Rows: 1}, 0},
		{Loss{}, math.NaN()},
	} {
		got := test.loss.Perplexity()
		if got != test.want && math.Abs(got-test.want) > 1e-15*math.Abs(test.want) && (got == got || test.want == test.want) {
			t.Errorf("Perplexity of %v = %v, want %v", test.loss, got, test.want)
		}
	}
}

// TestLossAccuracy holds that there is an accuracy where all rows that count
// were looked at, and nowhere else.
func TestLossAccuracy(t *testing.T) {
	nan := math.NaN()
	check := func(name string, l Loss, want float64) {
		t.Helper()
		if got := l.Accuracy(); got != want && (got == got || want == want) {
			t.Errorf("%s: Accuracy of %v = %v, want %v", name, l, got, want)
		}
	}
	check("zero", Loss{}, nan)
	check("by hand", Loss{Rows: 4, Correct: 3}, 0.75)
	check("by hand", Loss{Rows: 5, Ignored: 1}, 0)
	check("by hand", Loss{Rows: 7, Correct: 7}, 1)
	check("all ignored", Loss{Rows: 3, Ignored: 3}, nan)

	logits := mat.NewDense(4, 2, []float64{1, 0, 1, 0, 1, 0, 0, 1})
	soft := mat.NewDense(4, 2, []float64{1, 0, 1, 0, 1, 0, 0, 1})
	target := []int{0, 0, 1, -100}
	must := func(l Loss, err error) Loss {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	var dst mat.Dense
	judged := must(CrossEntropy(logits, target, nil))
	check("CrossEntropy", judged, 2./3)
	check("CrossEntropyGrad", must(CrossEntropyGrad(&dst, logits, target, nil)), 2./3)
	check("smoothed", must(CrossEntropy(logits, target, &Options{LabelSmoothing: 0.1})), 2./3)
	ignored := []int{-100, -100, -100, -100}
	for name, l := range map[string]Loss{
		"NLL":                  must(NLL(logits, target, nil)),
		"NLLGrad":              must(NLLGrad(&dst, logits, target, nil)),
		"smoothed NLL":         must(NLL(logits, target, &Options{LabelSmoothing: 0.1})),
		"SoftCrossEntropy":     must(SoftCrossEntropy(logits, soft, nil)),
		"SoftCrossEntropyGrad": must(SoftCrossEntropyGrad(&dst, logits, soft, nil)),
	} {
		check(name, l, nan)
		sum := judged
		sum.Add(l)
		check("CrossEntropy and "+name, sum, nan)
		l.Add(judged)
		check(name+" and CrossEntropy", l, nan)
		l.Add(l)
		check(name+" and CrossEntropy twice", l, nan)
	}
	// What does not count needs no judging.
	sum := judged
	sum.Add(must(NLL(logits, ignored, nil)))
	check("CrossEntropy and ignored rows", sum, 2./3)
	// A caller who counts.
	byHand := must(SoftCrossEntropy(logits, soft, nil))
	byHand.Correct = 3
	check("counted by hand", byHand, 0.75)
	byHand.Add(judged)
	check("counted by hand and CrossEntropy", byHand, 5./7)
}

// TestLossEncoding holds that a Loss goes whole through JSON and gob.
func TestLossEncoding(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	losses := map[string]Loss{
		"zero":      {},
		"by hand":   {Sum: 0.1, Weight: 3, Rows: 4, Ignored: 1, Correct: 2},
		"NaN":       lossOf(t, []float64{1, math.NaN()}, nil),
		"Infinity":  lossOf(t, []float64{1, math.Inf(1)}, []float64{0.1, 0.2}),
		"-Infinity": lossOf(t, []float64{1, math.Inf(1)}, []float64{0.1, -0.2}),
		"large":     lossOf(t, []float64{1, 1}, []float64{1e308, 1e308}),
	}
	for name, x := range sumCases(r) {
		losses[name] = lossOf(t, x, nil)
	}
	for name, l := range losses {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		viaJSON := Loss{Sum: 7, Weight: 8, Rows: 9, unjudged: 10}
		if err := json.Unmarshal(text, &viaJSON); err != nil {
			t.Errorf("%s: %s: %v", name, text, err)
		}
		var stream bytes.Buffer
		if err := gob.NewEncoder(&stream).Encode(l); err != nil {
			t.Fatal(err)
		}
		var viaGob Loss
		if err := gob.NewDecoder(&stream).Decode(&viaGob); err != nil {
			t.Errorf("%s: gob: %v", name, err)
		}
		for _, got := range []Loss{viaJSON, viaGob} {
			same := got
			if l.Sum != l.Sum && got.Sum != got.Sum {
				same.Sum = l.Sum
				l := l
				l.Sum, same.Sum = 0, 0
				if same != l {
					t.Errorf("%s: %#v, want %#v", name, got, l)
				}
				continue
			}
			if same != l {
				t.Errorf("%s: %#v, want %#v", name, got, l)
			}
		}
		// Other readers and writers know the five fields.
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range []string{"Sum", "Weight", "Rows", "Ignored", "Correct"} {
			if _, ok := fields[want]; !ok {
				t.Errorf("%s: no field %s in %s", name, want, text)
			}
		}
		delete(fields, "Rest")
		text, err = json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		plain := viaJSON
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Errorf("%s: %s: %v", name, text, err)
		}
		want := Loss{Sum: l.Sum, Weight: l.Weight, Rows: l.Rows, Ignored: l.Ignored, Correct: l.Correct}
		if plain != want && l.Sum == l.Sum {
			t.Errorf("%s: without Rest %#v, want %#v", name, plain, want)
		}
	}

	// The form in which it is sent.
	for text, l := range map[string]Loss{
		`{"Sum":0,"Weight":0,"Rows":0,"Ignored":0,"Correct":0}`:                                                        {},
		`{"Sum":0.5,"Weight":2,"Rows":3,"Ignored":1,"Correct":2}`:                                                      {Sum: 0.5, Weight: 2, Rows: 3, Ignored: 1, Correct: 2},
		`{"Sum":"NaN","Weight":"-Infinity","Rows":1,"Ignored":0,"Correct":0}`:                                          {Sum: math.NaN(), Weight: math.Inf(-1), Rows: 1},
		`{"Sum":1,"Weight":2,"Rows":2,"Ignored":0,"Correct":0,"Rest":{"Sum":"0x4000000000000001p-62","Unjudged":2}}`:   lossOf(t, []float64{1, 0x1p-62}, nil),
		`{"Sum":"Infinity","Weight":2,"Rows":2,"Ignored":0,"Correct":0,"Rest":{"Sum":"0x4p+1022","Unjudged":2}}`:       lossOf(t, []float64{0x1p1023, 0x1p1023}, nil),
		`{"Sum":-1,"Weight":2,"Rows":2,"Ignored":0,"Correct":0,"Rest":{"Sum":"-0x4000000000000004p-62","Unjudged":2}}`: lossOf(t, []float64{-1, -0x1p-60}, nil),
	} {
		if got, err := json.Marshal(l); err != nil || string(got) != text {
			t.Errorf("%#v: %s, %v, want %s", l, got, err, text)
		}
	}
	// A Rest that is about something else.
	var l Loss
	text := `{"Sum":2,"Weight":1,"Rows":1,"Ignored":0,"Correct":1,"Rest":{"Sum":"0x1000000000000001p-60","Weight":"0x3p+0"},"More":[]}`
	if err := json.Unmarshal([]byte(text), &l); err != nil || l != (Loss{Sum: 2, Weight: 1, Rows: 1, Correct: 1}) {
		t.Errorf("%#v, %v", l, err)
	}
	if err := json.Unmarshal([]byte("null"), &l); err != nil || l.Sum != 2 {
		t.Errorf("%#v, %v", l, err)
	}
	for _, text := range []string{
		`{"Sum":"1"}`, `{"Sum":"inf"}`, `{"Rows":1.5}`, `[]`, `"NaN"`, `{"Rest":{"Sum":"1"}}`, `{"Rest":{"Weight":"0x1p+99999"}}`,
		`{"Rest":{"Unjudged":-1}}`, `{"Rest":3}`,
	} {
		before := l
		if err := json.Unmarshal([]byte(text), &l); err == nil || l != before {
			t.Errorf("%s: %#v, %v", text, l, err)
		}
	}
}

// TestLossMerged holds that Losses which were sent add up to that of all rows.
func TestLossMerged(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for name, x := range sumCases(r) {
		whole := lossOf(t, x, nil)
		var total Loss
		for len(x) > 0 {
			n := min(1+r.IntN(1+len(x)/2), len(x))
			text, err := json.Marshal(lossOf(t, x[:n], nil))
			if err != nil {
				t.Fatal(err)
			}
			var part Loss
			if err := json.Unmarshal(text, &part); err != nil {
				t.Fatal(err)
			}
			total.Add(part)
			x = x[n:]
		}
		if total != whole {
			t.Errorf("%s: %#v, want %#v", name, total, whole)
		}
	}
}

func TestLossString(t *testing.T) {
	l := lossOf(t, []float64{0.1, 0.2, 1e-30}, nil)
	l.Correct = 2
	const want = "{Sum:0.30000000000000004 Weight:3 Rows:3 Ignored:0 Correct:2}"
	for _, format := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(format, l); got != want {
			t.Errorf("%s: %s, want %s", format, got, want)
		}
	}
	if got := fmt.Sprint(&l); !strings.HasSuffix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestGroupRows(t *testing.T) {
	for classes := 1; classes < 40000; classes += 1 + classes/10 {
		n := groupRows(classes)
		if n < 1 || n*classes > max(unitEntries(classes), classes) || n > 8 && n%8 != 0 {
			t.Errorf("groupRows(%d) = %d", classes, n)
		}
	}
}
