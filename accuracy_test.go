// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// The bounds that the documentation states, in units of the distance of the
// doubles next to the exact value (2^-1074 where that is less than 2^-1022).
// It also states what was measured: see holdStated.
const (
	// A log-probability, and so the loss of a row before weights and
	// smoothing.
	maxUlpLogProb = 2

	// A probability.
	maxUlpProb = 4

	// An entry of the gradient for a label, with unit weights and Sum.
	maxUlpLabelGrad = 4

	// An entry of the gradient for a distribution, with unit weights and Sum,
	// in ulp of the larger of the terms p·(Q-q) and q·(1-p). Smoothing adds the
	// roundings of the coefficients and of their sum.
	maxUlpSoftGrad   = 4
	maxUlpSmoothGrad = 8

	// A log-sum-exp, in ulp of the largest of |max|, log Σexp(x-max) and
	// itself. Without the last there would be results that correct rounding
	// does not reach: where the sum of the two others is in the next binade,
	// half an ulp of it is an ulp of the larger.
	maxUlpLogSumExp = 1

	// Loss.Sum, against the sum of the losses of the rows as they are
	// returned, and Loss.Mean against the quotient of that and the weight.
	maxUlpSum  = 1
	maxUlpMean = 1
)

// quantity is something whose error is measured.
type quantity int

const (
	logProbOfMax quantity = iota
	logProbOfOther
	probability
	labelGrad
	logSumExp
	logSumExpNarrow // in ulp of the larger of |max| and log Σexp(x-max) alone
	quantities
)

var quantityNames = [quantities]string{
	"log-probability of the max", "log-probability", "probability",
	"label gradient", "log-sum-exp", "log-sum-exp, narrow unit",
}

var quantityBounds = [quantities]float64{
	maxUlpLogProb, maxUlpLogProb, maxUlpProb, maxUlpLabelGrad, maxUlpLogSumExp,
	// Half an ulp of a result in the next binade, more than the bound above.
	maxUlpLogSumExp + 0.5,
}

// witness is the input with the largest error seen.
type witness struct {
	ulps   float64
	got    float64
	row    []float64
	column int
	target int
}

func (w *witness) see(ulps, got float64, row []float64, column, target int) {
	if ulps > w.ulps || math.IsNaN(ulps) || w.row == nil {
		*w = witness{ulps, got, slices.Clone(row), column, target}
	}
}

// String describes the input, in full where it is short or printing in full
// was asked for.
func (w *witness) String() string {
	if len(w.row) > 8 && testkit.Long() <= 1 {
		return fmt.Sprintf("%d logits, entry %d (%v), target %d: %v", len(w.row), w.column, w.row[w.column], w.target, w.got)
	}
	hex := make([]string, len(w.row))
	for j, v := range w.row {
		hex[j] = fmt.Sprintf("%x", v)
	}
	return fmt.Sprintf("{%s}, entry %d, target %d: %v", strings.Join(hex, ", "), w.column, w.target, w.got)
}

type witnesses [quantities]witness

// report logs the errors and holds the bounds. If confirm is set, it has
// math/big confirm the worst.
func (ws *witnesses) report(t *testing.T, confirm bool) {
	t.Helper()
	for q := range ws {
		w := &ws[q]
		if w.row == nil {
			continue
		}
		t.Logf("%-27s %6.4f ulp: %v", quantityNames[q], w.ulps, w)
		if !(w.ulps <= quantityBounds[q]) {
			t.Errorf("%s: %v ulp is more than %v: %v", quantityNames[q], w.ulps, quantityBounds[q], w)
		}
		if !confirm {
			continue
		}
		if confirmed := w.exact(quantity(q)); !(math.Abs(confirmed-w.ulps) <= 1e-6) {
			t.Errorf("%s: %v ulp, but %v by math/big: %v", quantityNames[q], w.ulps, confirmed, w)
		}
	}
}

// add sees the errors of others.
func (ws *witnesses) add(others *witnesses) {
	for q, w := range others {
		if w.row != nil {
			ws[q].see(w.ulps, w.got, w.row, w.column, w.target)
		}
	}
}

// holdStated compares the errors with those of a column of the table in the
// documentation.
func (ws *witnesses) holdStated(t *testing.T, column string) {
	t.Helper()
	holdStated(t, "log-probability, loss of a row", column, maxUlpLogProb, max(ws[logProbOfMax].ulps, ws[logProbOfOther].ulps))
	holdStated(t, "probability, label's gradient", column, maxUlpProb, max(ws[probability].ulps, ws[labelGrad].ulps))
	holdStated(t, "log-sum-exp", column, maxUlpLogSumExp, ws[logSumExp].ulps)
}

// holdStated compares a bound and a measured error with what the table in the
// documentation says of them. What it states was measured may not be less than
// what is, nor more by a tenth of an ulp, where the inputs are the same: on
// amd64, since they are drawn with functions of package math, and not in a test
// that was made shorter or longer, or of which only a part is run.
func holdStated(t *testing.T, row, column string, bound, measured float64) {
	t.Helper()
	stated, ok := statedErrors(t)[row]
	if !ok {
		t.Errorf("the documentation does not state the error of %q", row)
		return
	}
	if stated["bound"] != bound {
		t.Errorf("the documentation states a bound of %v ulp for %q, the test holds %v", stated["bound"], row, bound)
	}
	if runtime.GOARCH != "amd64" || testkit.Long() > 1 || testkit.Long() == 0 || strings.Contains(testRunPattern(), "/") {
		return
	}
	if !(measured <= stated[column] && stated[column] <= measured+0.1) {
		t.Errorf("the documentation states %v ulp for %q, %s; measured %v", stated[column], row, column, measured)
	}
}

// statedErrors returns the table of errors in the package's documentation, by
// row and column.
func statedErrors(t *testing.T) map[string]map[string]float64 {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "  bound ")
	if !ok {
		t.Fatal("doc.go has no table of errors")
	}
	stated := make(map[string]map[string]float64)
	for _, line := range strings.Split(table, "\n")[1:] {
		line, ok := strings.CutPrefix(line, "//\t")
		name, numbers, ok2 := strings.Cut(line, "  ")
		if !ok || !ok2 {
			break
		}
		columns := []string{"bound", "normal", "hard", "search"}
		fields := strings.Fields(numbers)
		if len(fields) < 4 {
			columns = []string{"bound", "hard", "search"}
		}
		stated[name] = make(map[string]float64)
		for i, f := range fields {
			if stated[name][columns[i]], err = strconv.ParseFloat(f, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return stated
}

// TestReadmeErrors holds the table of errors in the README to that in the
// package's documentation.
func TestReadmeErrors(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| | bound | normal | hard | search |\n| --- | ---: | ---: | ---: | ---: |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	found := make(map[string]map[string]float64)
	for _, line := range strings.Split(table, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		numbers := make(map[string]float64)
		for i, column := range []string{"bound", "normal", "hard", "search"} {
			if cell := strings.TrimSpace(cells[i+1]); cell != "" {
				if numbers[column], err = strconv.ParseFloat(cell, 64); err != nil {
					t.Fatal(err)
				}
			}
		}
		found[strings.Trim(cells[0], " `")] = numbers
	}
	if stated := statedErrors(t); !maps.EqualFunc(found, stated, maps.Equal) {
		t.Errorf("the README states %v, the documentation %v", found, stated)
	}
}

// exact returns the error by way of math/big.
func (w *witness) exact(q quantity) float64 {
	e := exact.NewRow(w.row)
	switch q {
	case logProbOfMax, logProbOfOther:
		return exact.Error(w.got, e.LogProb[w.column], e.LogProb[w.column])
	case probability:
		return exact.Error(w.got, e.Prob[w.column], e.Prob[w.column])
	case labelGrad:
		if w.column == w.target {
			return exact.Error(-w.got, e.Complement[w.column], e.Complement[w.column])
		}
		return exact.Error(w.got, e.Prob[w.column], e.Prob[w.column])
	case logSumExp, logSumExpNarrow:
		unit := exact.Float(math.Abs(e.Max))
		if unit.Cmp(e.LogSum) < 0 {
			unit = e.LogSum
		}
		if l := exact.New().Abs(e.LogSumExp); q == logSumExp && unit.Cmp(l) < 0 {
			unit = l
		}
		return exact.Error(w.got, e.LogSumExp, unit)
	}
	panic("unreachable")
}

// measurer calls the package on batches of rows and sees the errors.
type measurer struct {
	row            ddRow
	logp, prob, gr mat.Dense
	lse            []float64
	each           []float64
	target         []int
	sum            logsoftmax.Options
}

// measure sees the errors of every function for every row of x. The label of
// a row is its largest entry or, for odd rows, drawn.
func (m *measurer) measure(t *testing.T, ws *witnesses, rnd *rand.Rand, x *mat.Dense) {
	rows, cols := x.Dims()
	m.logp.Reset()
	m.prob.Reset()
	m.gr.Reset()
	m.target = m.target[:0]
	for i := range rows {
		y := rnd.IntN(cols)
		if i%2 == 0 {
			row := x.RawRowView(i)
			y = slices.Index(row, slices.Max(row))
		}
		m.target = append(m.target, y)
	}
	logsoftmax.LogSoftmax(&m.logp, x, 1)
	logsoftmax.Softmax(&m.prob, x, 1)
	m.lse = logsoftmax.LogSumExp(nil, x, 1)
	var err error
	if m.each, err = logsoftmax.CrossEntropyEach(nil, x, m.target, nil); err != nil {
		t.Fatal(err)
	}
	m.sum.Reduction = logsoftmax.Sum
	if _, err := logsoftmax.CrossEntropyGrad(&m.gr, x, m.target, &m.sum); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		row := x.RawRowView(i)
		y := m.target[i]
		m.row.set(row)
		logp, prob, gr := m.logp.RawRowView(i), m.prob.RawRowView(i), m.gr.RawRowView(i)
		if m.each[i] != -logp[y] {
			t.Errorf("loss %v, but log-probability %v", m.each[i], logp[y])
		}
		for j := range row {
			q := logProbOfOther
			if row[j] == m.row.max {
				q = logProbOfMax
			}
			ws[q].see(m.logProbError(logp[j], j), logp[j], row, j, y)
			ws[probability].see(m.probError(prob[j], j), prob[j], row, j, y)
			ws[labelGrad].see(m.labelGradError(gr[j], j, y), gr[j], row, j, y)
		}
		wide, narrow := m.logSumExpError(m.lse[i])
		ws[logSumExp].see(wide, m.lse[i], row, m.row.argmax, y)
		ws[logSumExpNarrow].see(narrow, m.lse[i], row, m.row.argmax, y)
	}
}

// The errors, in ulp, of results for the row that is set.

func (m *measurer) logProbError(got float64, j int) float64 {
	want := m.row.logProb(j)
	if math.IsInf(want.v.hi, 0) {
		if got == want.v.hi {
			return 0
		}
		return math.Inf(1)
	}
	return want.ulpsFrom(got, want.v.hi)
}

func (m *measurer) probError(got float64, j int) float64 {
	want := m.row.prob(j)
	return want.ulpsFrom(got, want.v.hi)
}

func (m *measurer) labelGradError(got float64, j, y int) float64 {
	if j != y {
		return m.probError(got, j)
	}
	want := m.row.complement(j)
	return want.ulpsFrom(-got, want.v.hi)
}

func (m *measurer) logSumExpError(got float64) (wide, narrow float64) {
	want := m.row.logSumExp()
	unit := max(math.Abs(m.row.max), m.row.logSumDD.hi)
	if want.small {
		unit *= ddScale
	}
	return want.ulpsFrom(got, max(unit, math.Abs(want.v.hi))), want.ulpsFrom(got, unit)
}

// batch is a number of rows of the same length, filled one by one.
type batch struct {
	rows, cols int
	fill       func(rnd *rand.Rand, row []float64)
}

func normal(sd float64) func(*rand.Rand, []float64) {
	return func(rnd *rand.Rand, row []float64) {
		for j := range row {
			row[j] = rnd.NormFloat64() * sd
		}
	}
}

// batchesOf has about the given number of entries for each number of
// classes, but no more than 300 rows.
func batchesOf(entries int, classes []int, fill func(*rand.Rand, []float64)) []batch {
	var b []batch
	for _, c := range classes {
		b = append(b, batch{min(max(entries/c, 1), 300), c, fill})
	}
	return b
}

var (
	fewClasses  = []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129}
	manyClasses = []int{1000, 2047, 2048, 2049, 4096, 5000, 50257}
	allClasses  = slices.Concat(fewClasses, manyClasses)
)

// accuracyInputs are the classes of input.
var accuracyInputs = []struct {
	name    string
	batches []batch
}{
	{"normal sd 1", batchesOf(6000, allClasses, normal(1))},
	{"normal sd 10", batchesOf(6000, allClasses, normal(10))},
	{"normal sd 100", batchesOf(6000, allClasses, normal(100))},
	{"normal sd 1e-9", batchesOf(2000, fewClasses, normal(1e-9))},
	{"two classes, gaps 0 to 760", []batch{{30400, 2, gaps()}}},
	{"two classes, small gaps", []batch{{3000, 2, func(rnd *rand.Rand, row []float64) {
		row[0] = rnd.NormFloat64()
		row[1] = row[0] - math.Exp(-40*rnd.Float64())
		shuffle(rnd, row)
	}}}},
	{"one dominant logit", batchesOf(4000, append([]int{50257}, fewClasses...), func(rnd *rand.Rand, row []float64) {
		normal(1)(rnd, row)
		row[rnd.IntN(len(row))] += 760 * rnd.Float64()
	})},
	{"all others equal", batchesOf(50000, []int{10, 1000, 50257}, func(rnd *rand.Rand, row []float64) {
		low := rnd.NormFloat64() * 10
		for j := range row {
			row[j] = low
		}
		row[rnd.IntN(len(row))] += 40*rnd.Float64() + math.Log(float64(len(row)))*float64(rnd.IntN(2))
	})},
	{"all others equal, full range of gaps", batchesOf(20000, []int{10, 1000}, func(rnd *rand.Rand, row []float64) {
		for j := range row {
			row[j] = rnd.NormFloat64()
		}
		for j := range row {
			row[j] = row[0]
		}
		row[rnd.IntN(len(row))] += 760 * rnd.Float64()
	})},
	{"gaps 700 to 760, 1000 classes", batchesOf(40000, []int{1000}, func(rnd *rand.Rand, row []float64) {
		shift := rnd.NormFloat64() * 10
		for j := range row {
			row[j] = shift - 700 - 60*rnd.Float64()
		}
		row[rnd.IntN(len(row))] = shift
	})},
	{"gaps 740 to 800, 50257 classes", []batch{{1, 50257, func(rnd *rand.Rand, row []float64) {
		for j := range row {
			row[j] = -740 - 60*rnd.Float64()
		}
		row[rnd.IntN(len(row))] = 0
	}}}},
	{"max about 1e3", offsets(1e3)},
	{"max about 1600", offsets(1600)},
	{"max about 1e6", offsets(1e6)},
	{"max about 1e15", offsets(1e15)},
	{"max about 1e300", offsets(1e300)},
	{"zeros", batchesOf(500, fewClasses, func(rnd *rand.Rand, row []float64) {
		for j := range row {
			row[j] = math.Copysign(0, rnd.Float64()-0.5)
			if rnd.IntN(4) == 0 {
				row[j] = -rnd.Float64()
			}
		}
	})},
	{"subnormal logits", batchesOf(500, fewClasses, func(rnd *rand.Rand, row []float64) {
		for j := range row {
			row[j] = math.Float64frombits(rnd.Uint64() & (1<<63 | 1<<52 - 1))
		}
	})},
	{"subnormal results", batchesOf(3000, fewClasses, func(rnd *rand.Rand, row []float64) {
		for j := range row {
			row[j] = -705 - 41*rnd.Float64()
		}
		row[rnd.IntN(len(row))] = 0
	})},
	{"ties", batchesOf(1000, fewClasses, func(rnd *rand.Rand, row []float64) {
		v := []float64{rnd.NormFloat64(), rnd.NormFloat64(), -30 * rnd.Float64()}
		for j := range row {
			row[j] = v[rnd.IntN(len(v))]
		}
	})},
	{"ties of the max, others small", batchesOf(1000, fewClasses, func(rnd *rand.Rand, row []float64) {
		for j := range row {
			row[j] = rnd.NormFloat64() - 40*rnd.Float64()
		}
		top := slices.Max(row) + 40*rnd.Float64()
		for range 2 + rnd.IntN(len(row)) {
			row[rnd.IntN(len(row))] = top
		}
	})},
	{"a second logit over many just under half its ulp", batchesOf(3000, fewClasses, underHalfUlp)},
	{"sums of exponentials next to 1", batchesOf(3000, fewClasses, func(rnd *rand.Rand, row []float64) {
		low := -math.Log(float64(len(row)-1)) + (rnd.Float64()-0.5)*math.Exp(-30*rnd.Float64())
		for j := range row {
			row[j] = low
		}
		row[rnd.IntN(len(row))] = 0
	})},
	{"some classes impossible", batchesOf(2000, fewClasses, func(rnd *rand.Rand, row []float64) {
		normal(3)(rnd, row)
		for j := range row {
			if rnd.IntN(3) == 0 {
				row[j] = math.Inf(-1)
			}
		}
		row[rnd.IntN(len(row))] = rnd.NormFloat64()
	})},
}

// gaps fills rows of two with a gap that goes up by 1/40 from row to row and
// has a full mantissa.
func gaps() func(*rand.Rand, []float64) {
	n := 0
	return func(rnd *rand.Rand, row []float64) {
		row[0] = rnd.NormFloat64() * float64(n%3)
		row[1] = row[0] - (float64(n)+rnd.Float64())/40
		shuffle(rnd, row)
		n++
	}
}

func offsets(offset float64) []batch {
	return batchesOf(2000, fewClasses, func(rnd *rand.Rand, row []float64) {
		for j := range row {
			row[j] = offset + rnd.NormFloat64()*max(10, 1e-16*offset)
		}
		if rnd.IntN(2) == 0 {
			for j := range row {
				row[j] = -row[j]
			}
		}
		if rnd.IntN(4) == 0 {
			row[rnd.IntN(len(row))] *= -1
		}
	})
}

// underHalfUlp fills a row with a largest logit, a second one at some gap, and
// others that each add a little less than half an ulp of what the second adds,
// which a sum in plain doubles does not see.
func underHalfUlp(rnd *rand.Rand, row []float64) {
	top := rnd.NormFloat64() * 10 * float64(rnd.IntN(2))
	second := top - 40*rnd.Float64()
	for j := range row {
		row[j] = second - 53*math.Ln2 - 0.7*rnd.Float64()*float64(rnd.IntN(2))
	}
	row[0], row[1] = top, second
	shuffle(rnd, row)
}

func shuffle(rnd *rand.Rand, row []float64) {
	rnd.Shuffle(len(row), func(i, j int) { row[i], row[j] = row[j], row[i] })
}

func TestAccuracy(t *testing.T) {
	var all, normals, hard witnesses
	for i, in := range accuracyInputs {
		t.Run(in.name, func(t *testing.T) {
			if testkit.Long() == 0 && strings.HasPrefix(in.name, "gaps 740 to 800") {
				t.Skip("a single row that takes seconds: set LOGSOFTMAX_LONG=1")
			}
			rnd := rand.New(rand.NewPCG(uint64(i), 15))
			var ws witnesses
			var m measurer
			for _, b := range in.batches {
				rows := b.rows
				if testkit.Long() > 1 {
					rows *= 10
				}
				if testkit.Long() == 0 {
					rows = (rows + 9) / 10
				}
				x := mat.NewDense(rows, b.cols, nil)
				for i := range rows {
					b.fill(rnd, x.RawRowView(i))
				}
				m.measure(t, &ws, rnd, x)
			}
			ws.report(t, true)
			all.add(&ws)
			if strings.HasPrefix(in.name, "normal ") {
				normals.add(&ws)
			} else {
				hard.add(&ws)
			}
		})
	}
	t.Log("of all:")
	all.report(t, false)
	for column, ws := range map[string]*witnesses{"normal": &normals, "hard": &hard} {
		ws.holdStated(t, column)
	}
}

// searched are the quantities that TestAccuracySearch looks for the worst
// error of.
var searched = []quantity{logProbOfMax, logProbOfOther, probability, labelGrad, logSumExp}

// TestAccuracySearch climbs from the worst of many rows, by small changes that
// make the error larger.
func TestAccuracySearch(t *testing.T) {
	starts := []struct {
		name string
		fill func(*rand.Rand, []float64)
	}{
		{"normal", func(rnd *rand.Rand, row []float64) { normal(math.Exp(6*rnd.Float64()-2))(rnd, row) }},
		{"gap", func(rnd *rand.Rand, row []float64) {
			normal(1)(rnd, row)
			row[0] += 40 * rnd.Float64()
		}},
		{"wide gap", func(rnd *rand.Rand, row []float64) {
			for j := range row {
				row[j] = -700 * rnd.Float64()
			}
			row[0] = 100 * rnd.NormFloat64() * float64(rnd.IntN(2))
		}},
		{"under half an ulp", underHalfUlp},
		{"next to log 2", func(rnd *rand.Rand, row []float64) {
			for j := range row {
				row[j] = -math.Log(float64(len(row)-1)) + 0.01*rnd.NormFloat64()
			}
			row[0] = 0
		}},
	}
	draws, climbers, steps := 1500, 4, 6000
	if testkit.Long() > 1 {
		draws, climbers, steps = 10_000, 10, 50_000
	}
	if testkit.Long() == 0 {
		draws, climbers, steps = 100, 1, 300
	}
	var all witnesses
	for s, start := range starts {
		t.Run(start.name, func(t *testing.T) {
			var ws witnesses
			var c climber
			rnd := rand.New(rand.NewPCG(uint64(s), 16))
			for _, cols := range []int{2, 3, 4, 8, 11, 16, 33, 64} {
				// Rows of any length have about the same time.
				share := func(n int) int { return max(n*4/(cols+2), 1) }
				for _, q := range searched {
					c.search(&ws[q], rnd, q, cols, start.fill, share(draws), climbers, share(steps))
				}
			}
			ws.report(t, true)
			all.add(&ws)
		})
	}
	t.Log("of all:")
	all.report(t, false)
	all.holdStated(t, "search")
}

// climber searches rows of one length for the largest error of a quantity.
type climber struct {
	measurer
	x, out *mat.Dense
}

func (c *climber) search(best *witness, rnd *rand.Rand, q quantity, cols int, fill func(*rand.Rand, []float64), draws, climbers, steps int) {
	c.x = mat.NewDense(1, cols, nil)
	c.out = mat.NewDense(1, cols, nil)
	c.lse = make([]float64, 1)
	c.target = make([]int, 1)
	c.sum.Reduction = logsoftmax.Sum
	top := make([]witness, climbers) // the worst of the draws, worst first
	for range draws {
		row := c.x.RawRowView(0)
		fill(rnd, row)
		w := c.worst(q)
		for k := range top {
			if w.ulps > top[k].ulps || top[k].row == nil {
				w.row = slices.Clone(row)
				w, top[k] = top[k], w
			}
			if w.row == nil {
				break
			}
		}
	}
	for _, w := range top {
		if w.row == nil {
			continue
		}
		row := c.x.RawRowView(0)
		for range steps {
			copy(row, w.row)
			mutate(rnd, row)
			next := c.worst(q)
			if next.ulps >= w.ulps {
				copy(w.row, row)
				next.row = w.row
				w = next
			}
		}
		best.see(w.ulps, w.got, w.row, w.column, w.target)
	}
}

// worst returns the largest error of the quantity over the row, without the
// row.
func (c *climber) worst(q quantity) (w witness) {
	row, out := c.x.RawRowView(0), c.out.RawRowView(0)
	c.row.set(row)
	y := c.row.argmax
	w.target = y
	w.column = y
	see := func(ulps float64, j int) {
		if ulps > w.ulps {
			w.ulps, w.got, w.column = ulps, out[j], j
		}
	}
	switch q {
	case logProbOfMax:
		logsoftmax.LogSoftmax(c.out, c.x, 1)
		w.got = out[y]
		see(c.logProbError(out[y], y), y)
	case logProbOfOther:
		logsoftmax.LogSoftmax(c.out, c.x, 1)
		w.got = out[y]
		for j := range row {
			see(c.logProbError(out[j], j), j)
		}
	case probability:
		logsoftmax.Softmax(c.out, c.x, 1)
		w.got = out[y]
		for j := range row {
			see(c.probError(out[j], j), j)
		}
	case labelGrad:
		c.target[0] = y
		_, _ = logsoftmax.CrossEntropyGrad(c.out, c.x, c.target, &c.sum)
		w.got = out[y]
		for j := range row {
			see(c.labelGradError(out[j], j, y), j)
		}
	case logSumExp:
		logsoftmax.LogSumExp(c.lse, c.x, 1)
		w.ulps, _ = c.logSumExpError(c.lse[0])
		w.got = c.lse[0]
	}
	return w
}

// mutate changes a row a little, and seldom more.
func mutate(rnd *rand.Rand, row []float64) {
	j := rnd.IntN(len(row))
	switch rnd.IntN(12) {
	case 0: // a large change
		row[j] += rnd.NormFloat64()
	case 1:
		row[j] = row[rnd.IntN(len(row))]
	case 2: // the whole row
		d := rnd.NormFloat64() * math.Exp(-30*rnd.Float64())
		for j := range row {
			row[j] += d
		}
	case 3, 4: // the last bits
		row[j] = math.Float64frombits(math.Float64bits(row[j]) + uint64(rnd.IntN(17)) - 8)
	case 5: // the last bits of all
		for j := range row {
			row[j] = math.Float64frombits(math.Float64bits(row[j]) + uint64(rnd.IntN(5)) - 2)
		}
	default:
		row[j] += rnd.NormFloat64() * math.Exp(-38*rnd.Float64())
	}
	for j, v := range row {
		// Zero stepped down to a NaN, or up to the end of the range.
		if math.IsNaN(v) || math.Abs(v) > 1e6 {
			row[j] = 0
		}
	}
}

// TestAccuracyWitnesses has inputs of few classes with the largest errors that
// searches found, and these errors.
func TestAccuracyWitnesses(t *testing.T) {
	for _, c := range []struct {
		row    []float64
		column int
		q      quantity
		ulps   float64
	}{
		{[]float64{
			0x1.b4e86e45c0356p-02, 0x1.e45fb9d5fa3ap-03, -0x1.5f71057ec7b76p-02, 0x1.740f3416b8ab7p+00,
			-0x1.098f2f50fc4b2p-04, -0x1.d79ba465a6928p-02, 0x1.1abff52a49f4p-01, -0x1.1b3204cdb239ap+01,
		}, 0, logProbOfOther, 1.31},
		{[]float64{
			0x1.6a543c9115a93p+04, -0x1.e491870550e83p-02, -0x1.778968e2c9798p+01, 0x1.bbe09d134800dp+00,
			0x1.22d598d5c760dp+00, 0x1.e1ad52290f9acp-02, 0x1.1fa69ad375ecdp+01, -0x1.bf41797e2f85p-01,
		}, 4, labelGrad, 2.07},
	} {
		x := mat.NewDense(1, len(c.row), c.row)
		var y mat.Dense
		switch c.q {
		case labelGrad:
			if _, err := logsoftmax.CrossEntropyGrad(&y, x, []int{0}, nil); err != nil {
				t.Fatal(err)
			}
		default:
			logsoftmax.LogSoftmax(&y, x, 1)
		}
		w := witness{got: y.At(0, c.column), row: c.row, column: c.column}
		ulps := w.exact(c.q)
		t.Logf("%-27s %6.4f ulp: %v", quantityNames[c.q], ulps, &w)
		if !(ulps <= c.ulps && c.ulps <= ulps+0.01) {
			t.Errorf("%s: %v ulp, not %v: %v", quantityNames[c.q], ulps, c.ulps, &w)
		}
	}
}

// TestAccuracySoftGrad measures gradients for distributions and with
// smoothing, in ulp of the larger of the terms that are subtracted.
func TestAccuracySoftGrad(t *testing.T) {
	logits := []struct {
		name string
		fill func(*rand.Rand, []float64)
	}{
		{"normal sd 1", normal(1)},
		{"normal sd 10", normal(10)},
		{"dominant", func(rnd *rand.Rand, row []float64) {
			normal(1)(rnd, row)
			row[rnd.IntN(len(row))] += 60 * rnd.Float64()
		}},
		{"far apart", normal(200)},
	}
	targets := []struct {
		name string
		fill func(rnd *rand.Rand, t, logits []float64)
	}{
		{"dense", func(rnd *rand.Rand, t, _ []float64) {
			s := 0.0
			for j := range t {
				t[j] = rnd.ExpFloat64()
				s += t[j]
			}
			for j := range t {
				t[j] /= s
			}
		}},
		{"sparse", func(rnd *rand.Rand, t, _ []float64) {
			t[rnd.IntN(len(t))] += 0.3
			t[rnd.IntN(len(t))] += 0.7
		}},
		{"one-hot", func(rnd *rand.Rand, t, _ []float64) { t[rnd.IntN(len(t))] = 1 }},
		{"one-hot at the max", func(rnd *rand.Rand, t, x []float64) { t[slices.Index(x, slices.Max(x))] = 1 }},
		{"nearly one-hot at the max", func(rnd *rand.Rand, t, x []float64) {
			tiny := math.Exp(-60 * rnd.Float64())
			for j := range t {
				t[j] = tiny * rnd.Float64()
			}
			t[slices.Index(x, slices.Max(x))] = 1
		}},
		{"of any sum", func(rnd *rand.Rand, t, _ []float64) {
			for j := range t {
				t[j] = math.Exp(20 * rnd.NormFloat64())
			}
		}},
	}
	rnd := rand.New(rand.NewPCG(3, 17))
	overall := map[bool]float64{}
	bound := map[bool]float64{false: maxUlpSoftGrad, true: maxUlpSmoothGrad}
	for _, smoothing := range []float64{0, 0.1, 1e-9, 1} {
		for _, tg := range targets {
			t.Run(fmt.Sprintf("smoothing %v/%s", smoothing, tg.name), func(t *testing.T) {
				var worst witness
				var worstTarget []float64
				for _, lg := range logits {
					for _, cols := range []int{2, 3, 7, 10, 16, 33, 100} {
						rows := max(60/cols, 2)
						x, target := mat.NewDense(rows, cols, nil), mat.NewDense(rows, cols, nil)
						for i := range rows {
							lg.fill(rnd, x.RawRowView(i))
							tg.fill(rnd, target.RawRowView(i), x.RawRowView(i))
						}
						var grad mat.Dense
						_, err := logsoftmax.SoftCrossEntropyGrad(&grad, x, target, &logsoftmax.Options{
							LabelSmoothing: smoothing, Reduction: logsoftmax.Sum,
						})
						if err != nil {
							t.Fatal(err)
						}
						for i := range rows {
							e := exact.NewRow(x.RawRowView(i))
							want, larger := e.Grad(exact.Coefficients(target.RawRowView(i), nil, smoothing))
							for j, g := range grad.RawRowView(i) {
								ulps := exact.Error(g, want[j], larger[j])
								if ulps > worst.ulps || worst.row == nil {
									worst.see(ulps, g, x.RawRowView(i), j, 0)
									worstTarget = slices.Clone(target.RawRowView(i))
								}
							}
						}
					}
				}
				t.Logf("%6.4f ulp: %v", worst.ulps, &worst)
				overall[smoothing > 0] = max(overall[smoothing > 0], worst.ulps)
				if bound := bound[smoothing > 0]; !(worst.ulps <= bound) {
					t.Errorf("%v ulp is more than %v: logits %x, target %x, entry %d: %v",
						worst.ulps, bound, worst.row, worstTarget, worst.column, worst.got)
				}
			})
		}
	}
	// Labels with smoothing are distributions, and lose no more.
	for _, smoothing := range []float64{0.1, 1e-9, 1} {
		t.Run(fmt.Sprintf("smoothing %v/label", smoothing), func(t *testing.T) {
			var worst witness
			for _, lg := range logits {
				for _, cols := range []int{2, 3, 7, 10, 16, 33, 100} {
					rows := max(60/cols, 2)
					x := mat.NewDense(rows, cols, nil)
					target := make([]int, rows)
					for i := range rows {
						lg.fill(rnd, x.RawRowView(i))
						target[i] = rnd.IntN(cols)
						if i%2 == 0 {
							target[i] = slices.Index(x.RawRowView(i), slices.Max(x.RawRowView(i)))
						}
					}
					var grad mat.Dense
					_, err := logsoftmax.CrossEntropyGrad(&grad, x, target, &logsoftmax.Options{
						LabelSmoothing: smoothing, Reduction: logsoftmax.Sum,
					})
					if err != nil {
						t.Fatal(err)
					}
					for i := range rows {
						e := exact.NewRow(x.RawRowView(i))
						want, larger := e.Grad(exact.Coefficients(exact.OneHot(cols, target[i]), nil, smoothing))
						for j, g := range grad.RawRowView(i) {
							worst.see(exact.Error(g, want[j], larger[j]), g, x.RawRowView(i), j, target[i])
						}
					}
				}
			}
			t.Logf("%6.4f ulp: %v", worst.ulps, &worst)
			if !(worst.ulps <= maxUlpSmoothGrad) {
				t.Errorf("%v ulp is more than %v: logits %x, target %d, entry %d: %v",
					worst.ulps, maxUlpSmoothGrad, worst.row, worst.target, worst.column, worst.got)
			}
			overall[true] = max(overall[true], worst.ulps)
		})
	}
	holdStated(t, "distribution's gradient", "hard", maxUlpSoftGrad, overall[false])
	holdStated(t, "the same with smoothing", "hard", maxUlpSmoothGrad, overall[true])
}

// A softRow is logits and a distribution for them.
type softRow struct{ x, target []float64 }

// softWitnesses are rows with large errors of the gradient that searches found.
var softWitnesses = []softRow{
	{
		[]float64{0x1.b94dc6fdcb24p-05, 0x1.697b6cf20d2adp+00},
		[]float64{0x1.418fd34241a2bp+00, 0x1.97e520e0ac053p-01},
	},
	{
		[]float64{0x1.76916120edd17p+00, 0x1.51ebc123ddd82p-02},
		[]float64{0x1.3546e5d9415cfp-02, 0x1.4aedfe754e384p-01},
	},
	{
		[]float64{-0x1.a6644795eb0f1p-01, 0x1.854e85192196cp+01},
		[]float64{0x1.04dcd7f5b96e9p-01, 0x1.6175737d60ab7p-02},
	},
}

// TestAccuracySoftGradSearch climbs from random rows, and from witnesses, to
// where the gradient for distributions, with and without smoothing, is worst.
func TestAccuracySoftGradSearch(t *testing.T) {
	draws, steps := 200, 2000
	if testkit.Long() > 1 {
		draws, steps = 2000, 20_000
	}
	if testkit.Long() == 0 {
		draws, steps = 10, 20
	}
	rnd := rand.New(rand.NewPCG(5, 21))
	overall := map[bool]float64{}
	for _, smoothing := range []float64{0, 0.1, 1e-9} {
		t.Run(fmt.Sprintf("smoothing %v", smoothing), func(t *testing.T) {
			var grad mat.Dense
			// worst returns the largest error of the gradient's elements.
			worst := func(r softRow) (ulps float64) {
				grad.Reset()
				_, err := logsoftmax.SoftCrossEntropyGrad(&grad, mat.NewDense(1, len(r.x), r.x), mat.NewDense(1, len(r.x), r.target), &logsoftmax.Options{
					LabelSmoothing: smoothing, Reduction: logsoftmax.Sum,
				})
				if err != nil {
					t.Fatal(err)
				}
				e := exact.NewRow(r.x)
				want, larger := e.Grad(exact.Coefficients(r.target, nil, smoothing))
				for j, g := range grad.RawRowView(0) {
					ulps = max(ulps, exact.Error(g, want[j], larger[j]))
				}
				return ulps
			}
			clone := func(r softRow) softRow { return softRow{slices.Clone(r.x), slices.Clone(r.target)} }
			var most float64
			var at softRow
			climb := func(r softRow) {
				r = clone(r)
				ulps := worst(r)
				for range steps {
					next := clone(r)
					if rnd.IntN(2) == 0 {
						mutate(rnd, next.x)
					} else {
						mutate(rnd, next.target)
						for j, v := range next.target {
							next.target[j] = math.Abs(v)
						}
					}
					if u := worst(next); u >= ulps {
						r, ulps = next, u
					}
				}
				if ulps > most {
					most, at = ulps, r
				}
			}
			for _, r := range softWitnesses {
				climb(r)
			}
			for _, cols := range []int{2, 3, 5} {
				var top softRow
				ulps := -1.0
				for range draws {
					r := softRow{make([]float64, cols), make([]float64, cols)}
					normal(1)(rnd, r.x)
					for j := range r.target {
						r.target[j] = rnd.Float64()
					}
					if u := worst(r); u > ulps {
						top, ulps = r, u
					}
				}
				climb(top)
			}
			bound := map[bool]float64{false: maxUlpSoftGrad, true: maxUlpSmoothGrad}[smoothing > 0]
			t.Logf("%.4f ulp: logits %x, target %x", most, at.x, at.target)
			if !(most <= bound) {
				t.Errorf("%v ulp is more than %v: logits %x, target %x", most, bound, at.x, at.target)
			}
			overall[smoothing > 0] = max(overall[smoothing > 0], most)
		})
	}
	holdStated(t, "distribution's gradient", "search", maxUlpSoftGrad, overall[false])
	holdStated(t, "the same with smoothing", "search", maxUlpSmoothGrad, overall[true])
}

// TestAccuracyLogSoftmaxGrad measures u·(1-p) - p·(Σu-u) with p the
// exponentials of the log-probabilities that are given, in ulp of the larger of
// |u|·(1-p) and p times the sum of the other |u|: upstream gradients of both
// signs may cancel in their sum.
func TestAccuracyLogSoftmaxGrad(t *testing.T) {
	overall := 0.0
	rnd := rand.New(rand.NewPCG(4, 18))
	for _, upstream := range []struct {
		name string
		draw func(rnd *rand.Rand) float64
	}{
		{"positive", func(rnd *rand.Rand) float64 { return rnd.Float64() }},
		{"any sign", func(rnd *rand.Rand) float64 { return rnd.NormFloat64() }},
		{"any size", func(rnd *rand.Rand) float64 { return rnd.NormFloat64() * math.Exp(20*rnd.NormFloat64()) }},
		{"mostly zero", func(rnd *rand.Rand) float64 { return math.Floor(1.2 * rnd.Float64()) }},
	} {
		t.Run(upstream.name, func(t *testing.T) {
			var worst witness
			for _, sd := range []float64{1e-3, 1, 10, 100} {
				for _, cols := range []int{2, 3, 7, 10, 16, 33, 100} {
					rows := max(60/cols, 2)
					x, u := mat.NewDense(rows, cols, nil), mat.NewDense(rows, cols, nil)
					for i := range rows {
						normal(sd)(rnd, x.RawRowView(i))
						for j := range cols {
							u.Set(i, j, upstream.draw(rnd))
						}
					}
					var logp, grad mat.Dense
					logsoftmax.LogSoftmax(&logp, x, 1)
					logsoftmax.LogSoftmaxGrad(&grad, &logp, u, 1)
					for i := range rows {
						up := u.RawRowView(i)
						for j, g := range grad.RawRowView(i) {
							others, size := exact.New(), exact.New()
							for k, v := range up {
								if k != j {
									others.Add(others, exact.Float(v))
									size.Add(size, exact.Float(math.Abs(v)))
								}
							}
							lp := exact.Float(logp.At(i, j))
							p := exact.Exp(lp)
							plus := exact.New().Neg(exact.Expm1(lp))
							plus.Mul(plus, exact.Float(up[j]))
							want := exact.New().Mul(p, others)
							want.Sub(plus, want)
							unit := plus.Abs(plus)
							if size.Mul(size, p); unit.Cmp(size) < 0 {
								unit = size
							}
							worst.see(exact.Error(g, want, unit), g, logp.RawRowView(i), j, 0)
						}
					}
				}
			}
			t.Logf("%6.4f ulp: %v", worst.ulps, &worst)
			if !(worst.ulps <= maxUlpSoftGrad) {
				t.Errorf("%v ulp is more than %v: log-probabilities %x, entry %d: %v",
					worst.ulps, maxUlpSoftGrad, worst.row, worst.column, worst.got)
			}
			overall = max(overall, worst.ulps)
		})
	}
	holdStated(t, "LogSoftmaxGrad", "hard", maxUlpSoftGrad, overall)
}

// TestAccuracySum holds Sum and Mean to the exact sum of the rows' losses.
func TestAccuracySum(t *testing.T) {
	for _, rows := range []int{1, 2, 3, 7, 64, 1000, 4099, 100_000} {
		for _, kind := range []struct {
			name   string
			logits func(*rand.Rand, []float64)
			weight func(*rand.Rand) float64
		}{
			{"normal", normal(1), nil},
			{"confident", func(rnd *rand.Rand, row []float64) {
				normal(1)(rnd, row)
				row[0] += 50 * rnd.Float64()
			}, nil},
			{"any size", normal(200), nil},
			{"all the same", func(_ *rand.Rand, row []float64) { clear(row) }, nil},
			{"sample weights", normal(1), func(rnd *rand.Rand) float64 { return rnd.ExpFloat64() }},
			{"sample weights of any sign", normal(1), func(rnd *rand.Rand) float64 { return rnd.NormFloat64() }},
		} {
			t.Run(fmt.Sprintf("%s/%d", kind.name, rows), func(t *testing.T) {
				const cols = 3
				rnd := rand.New(rand.NewPCG(uint64(rows), 19))
				x := mat.NewDense(rows, cols, nil)
				target := make([]int, rows)
				opts := &logsoftmax.Options{}
				for i := range rows {
					kind.logits(rnd, x.RawRowView(i))
					target[i] = rnd.IntN(2)
					if kind.weight != nil {
						opts.SampleWeight = append(opts.SampleWeight, kind.weight(rnd))
					}
				}
				loss, err := logsoftmax.CrossEntropy(x, target, opts)
				if err != nil {
					t.Fatal(err)
				}
				each, err := logsoftmax.CrossEntropyEach(nil, x, target, opts)
				if err != nil {
					t.Fatal(err)
				}
				sum, weight, size := exact.New(), exact.New(), exact.New()
				for i, l := range each {
					sum.Add(sum, exact.Float(l))
					size.Add(size, exact.Float(math.Abs(l)))
					if opts.SampleWeight != nil {
						weight.Add(weight, exact.Float(opts.SampleWeight[i]))
					} else {
						weight.Add(weight, exact.Float(1))
					}
				}
				// The rounding of a row's weighted loss need not be the one in each.
				slack := 0.0
				if kind.weight != nil {
					slack = exact.Error(0, exact.New().SetMantExp(size, -53), sum)
				}
				check := func(what string, got float64, want *big.Float, bound float64) {
					t.Helper()
					ulps := exact.Error(got, want, want)
					t.Logf("%s: %.4f ulp", what, ulps)
					if !(ulps <= bound) {
						t.Errorf("%s = %v is off by %v ulp, more than %v", what, got, ulps, bound)
					}
				}
				check("Sum", loss.Sum, sum, maxUlpSum+slack)
				check("Weight", loss.Weight, weight, maxUlpSum)
				check("Mean", loss.Mean(), exact.New().Quo(sum, weight), maxUlpMean+2*slack)
			})
		}
	}
}

// Inputs that once broke a stated bound, each of a kind that the searches now
// go through.

// rowOf returns n entries, those of first and then all of the same value.
func rowOf(n int, other float64, first ...float64) []float64 {
	row := make([]float64, n)
	for j := range row {
		row[j] = other
	}
	copy(row, first)
	return row
}

// softGradErrors returns the errors of the gradient for a distribution, in ulp
// of the larger of the terms that are subtracted, and with a label in place of
// target the same of the gradient for that.
func softGradErrors(t *testing.T, x, target []float64, y int, opts logsoftmax.Options) []float64 {
	t.Helper()
	opts.Reduction = logsoftmax.Sum
	var grad mat.Dense
	logits := mat.NewDense(1, len(x), x)
	var err error
	if target != nil {
		_, err = logsoftmax.SoftCrossEntropyGrad(&grad, logits, mat.NewDense(1, len(x), target), &opts)
	} else {
		_, err = logsoftmax.CrossEntropyGrad(&grad, logits, []int{y}, &opts)
		target = exact.OneHot(len(x), y)
	}
	if err != nil {
		t.Fatal(err)
	}
	row := exact.NewRow(x)
	want, larger := row.Grad(exact.Coefficients(target, opts.Weight, opts.LabelSmoothing))
	errors := make([]float64, len(x))
	for j, g := range grad.RawRowView(0) {
		errors[j] = exact.Error(g, want[j], larger[j])
	}
	return errors
}

func TestGradientOfDominantCoefficients(t *testing.T) {
	const classes = 50257
	third := rowOf(classes, float64(1./3*1e-20), 1)
	for _, c := range []struct {
		name      string
		x, target []float64
		opts      logsoftmax.Options
		bound     float64
	}{
		{"50257 classes", rowOf(classes, 0, 200), rowOf(classes, 0x1.35c5adde837d2p-70, 1), logsoftmax.Options{}, maxUlpSoftGrad},
		{"2048 classes", rowOf(2048, 0, 200), rowOf(2048, 0x1.fe7d55f485981p-70, 1), logsoftmax.Options{}, maxUlpSoftGrad},
		{"1000 classes", rowOf(1000, 0, 200), rowOf(1000, 0x1.0524dece5a96p-70, 1), logsoftmax.Options{}, maxUlpSoftGrad},
		{"64 classes", rowOf(64, 0, 200), rowOf(64, 0x1.35c5adde837d2p-70, 1), logsoftmax.Options{}, maxUlpSoftGrad},
		{"smoothed distribution", rowOf(classes, 0, 120), rowOf(classes, 0, 1), logsoftmax.Options{LabelSmoothing: 1e-14}, maxUlpSmoothGrad},
		{"smoothed distribution, 4096 classes", rowOf(4096, 0, 120), rowOf(4096, 0, 1), logsoftmax.Options{LabelSmoothing: 1e-14}, maxUlpSmoothGrad},
		{"smoothed label", rowOf(classes, 0, 120), nil, logsoftmax.Options{LabelSmoothing: 1e-14}, maxUlpSmoothGrad},
		{"smoothed label, weights", rowOf(classes, 0, 120), nil, logsoftmax.Options{LabelSmoothing: 0.1, Weight: third}, maxUlpSmoothGrad},
		{"smoothed label, weights, 60 classes", rowOf(60, 0, 120), nil, logsoftmax.Options{LabelSmoothing: 0.1, Weight: third[:60]}, maxUlpSmoothGrad},
	} {
		t.Run(c.name, func(t *testing.T) {
			worst, at := 0.0, 0
			for j, ulps := range softGradErrors(t, c.x, c.target, 0, c.opts) {
				if ulps > worst {
					worst, at = ulps, j
				}
			}
			t.Logf("%.4f ulp, entry %d", worst, at)
			if !(worst <= c.bound) {
				t.Errorf("entry %d is off by %v ulp, more than %v", at, worst, c.bound)
			}
		})
	}
}

func TestLogSoftmaxGradCases(t *testing.T) {
	for _, c := range []struct {
		name       string
		logp, x, u []float64
	}{
		{"two classes", nil, []float64{-0x1.958b0d91870aep-02, -0x1.3a7a5b019ba0ep+00}, []float64{-0x1.8a1413a44ad69p+01, 0x1.0fa452ab75413p+00}},
		{"free log-probabilities", []float64{-0x1.f7c9639775c3cp-05, -0x1.89076207fbefbp+01, -0x1.35c0b9f397bdfp-01}, nil, []float64{0x1.0610f41dc5f6p+05, -0x1.f49a8afba6f4fp+00, -0x1.3d93602397acp-03}},
		{"dominant upstream", nil, rowOf(50257, 0, 200), rowOf(50257, -0x1.35c5adde837d2p-70, -1)},
		{"dominant upstream, 64 classes", nil, rowOf(64, 0, 200), rowOf(64, -0x1.35c5adde837d2p-70, -1)},
		{"dominant upstream, 1000 classes", nil, rowOf(1000, 0, 200), rowOf(1000, -0x1.0524dece5a96p-70, -1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testkit.Long() == 0 && len(c.u) > 10_000 {
				t.Skip("a single row that takes seconds: set LOGSOFTMAX_LONG=1")
			}
			logp := c.logp
			if logp == nil {
				var y mat.Dense
				logsoftmax.LogSoftmax(&y, mat.NewDense(1, len(c.x), c.x), 1)
				logp = y.RawRowView(0)
			}
			want, unit := exact.LogSoftmaxGrad(logp, c.u)
			for dim := range 2 {
				l, u := mat.NewDense(1, len(logp), logp), mat.NewDense(1, len(logp), c.u)
				var grad mat.Dense
				if dim == 1 {
					logsoftmax.LogSoftmaxGrad(&grad, l, u, 1)
				} else {
					logsoftmax.LogSoftmaxGrad(&grad, l.T(), u.T(), 0)
				}
				worst := 0.0
				for j := range logp {
					worst = max(worst, exact.Error(grad.RawMatrix().Data[j], want[j], unit[j]))
				}
				t.Logf("dim %d: %.4f ulp", dim, worst)
				if !(worst <= maxUlpSoftGrad) {
					t.Errorf("dim %d: off by %v ulp, more than %v", dim, worst, float64(maxUlpSoftGrad))
				}
			}
		})
	}
}

func TestProbabilityBetweenChunks(t *testing.T) {
	x := rowOf(2049, math.Inf(-1), -0x1.70fb9992dae5p-08, -0x1.0a1b52acb4e37p+05)
	x[2048] = 0x1.01db776af3da1p+09
	row := exact.NewRow(x)
	var p, grad mat.Dense
	logsoftmax.Softmax(&p, mat.NewDense(1, len(x), x), 1)
	if _, err := logsoftmax.CrossEntropyGrad(&grad, mat.NewDense(1, len(x), x), []int{2048}, nil); err != nil {
		t.Fatal(err)
	}
	for j := range 2 {
		for name, got := range map[string]float64{"probability": p.At(0, j), "gradient": grad.At(0, j)} {
			ulps := exact.Error(got, row.Prob[j], row.Prob[j])
			t.Logf("%s %d: %.4f ulp", name, j, ulps)
			if !(ulps <= maxUlpProb) {
				t.Errorf("%s %d is off by %v ulp, more than %v", name, j, ulps, float64(maxUlpProb))
			}
		}
	}
}

func TestLossOfDistributionCase(t *testing.T) {
	x := []float64{0x1.fec7b932b0c5fp+01, -0x1.40fb4d0d782p-06}
	target := []float64{0x1.3f68a491ed077p-07, 0x1.fb025d6db84bep-01}
	each, err := logsoftmax.SoftCrossEntropyEach(nil, mat.NewDense(1, 2, x), mat.NewDense(1, 2, target), nil)
	if err != nil {
		t.Fatal(err)
	}
	row := exact.NewRow(x)
	want := row.Loss(exact.Coefficients(target, nil, 0))
	ulps := exact.Error(each[0], want, want)
	t.Logf("%.4f ulp", ulps)
	if !(ulps <= maxUlpLogProb) {
		t.Errorf("off by %v ulp, more than %v", ulps, float64(maxUlpLogProb))
	}
}

// The exact functions again, in pairs of doubles: some 100 bits, a hundred
// times as fast as math/big, for long rows and for searches.
// TestDoubleDouble holds them to the exact functions, and so does every worst
// error that the accuracy tests report.

// dd is the sum of hi and lo, which do not overlap.
type dd struct{ hi, lo float64 }

func ddTwoSum(a, b float64) dd {
	s := a + b
	v := s - a
	e := (a - (s - v)) + (b - v)
	if math.IsInf(v, 0) {
		// Next to the end of the range, where b is all of v.
		e = a - (s - b)
	}
	return dd{s, e}
}

func ddFastTwoSum(a, b float64) dd {
	s := a + b
	return dd{s, b - (s - a)}
}

func (a dd) add(b dd) dd {
	s := ddTwoSum(a.hi, b.hi)
	t := ddTwoSum(a.lo, b.lo)
	s = ddFastTwoSum(s.hi, s.lo+t.hi)
	return ddFastTwoSum(s.hi, s.lo+t.lo)
}

func (a dd) neg() dd { return dd{-a.hi, -a.lo} }

func (a dd) mul(b dd) dd {
	p := float64(a.hi * b.hi)
	e := math.FMA(a.hi, b.hi, -p)
	e = math.FMA(a.hi, b.lo, e)
	e = math.FMA(a.lo, b.hi, e)
	return ddFastTwoSum(p, e)
}

// scale multiplies by a power of two.
func (a dd) scale(f float64) dd { return dd{float64(a.hi * f), float64(a.lo * f)} }

func (a dd) quo(b dd) dd {
	q1 := a.hi / b.hi
	r := a.add(b.mul(dd{-q1, 0}))
	q2 := r.hi / b.hi
	r = r.add(b.mul(dd{-q2, 0}))
	q := ddFastTwoSum(q1, q2)
	return q.add(dd{r.hi / b.hi, 0})
}

func ddOf(x float64) dd { return dd{x, 0} }

var (
	ddLn2 [3]float64 // log 2 in three pieces, the first of 32 bits
	// ddInverseFactorial holds 1/n!.
	ddInverseFactorial [10]dd
)

func init() {
	rest := exact.New().Set(exact.Ln2)
	for i := range ddLn2 {
		piece, _ := rest.Float64()
		if i == 0 {
			piece = math.Float64frombits(math.Float64bits(piece) &^ (1<<21 - 1))
		}
		ddLn2[i] = piece
		rest.Sub(rest, exact.Float(piece))
	}
	f := exact.Float(1)
	for n := range ddInverseFactorial {
		if n > 0 {
			f.Quo(f, exact.Float(float64(n)))
		}
		hi, _ := f.Float64()
		lo, _ := exact.New().Sub(f, exact.Float(hi)).Float64()
		ddInverseFactorial[n] = dd{hi, lo}
	}
}

// ddExp returns m and k with e^x = m·2^k, for |x| < 2^20.
func ddExp(x dd) (m dd, k int) {
	n := math.RoundToEven(x.hi / math.Ln2)
	r := x.add(ddOf(-float64(n * ddLn2[0]))) // the product is exact
	p := float64(n * ddLn2[1])
	r = r.add(dd{-p, -math.FMA(n, ddLn2[1], -p)})
	r = r.add(ddOf(-float64(n * ddLn2[2])))
	return ddExpm1(r).add(ddOf(1)), int(n)
}

// ddExpm1 returns e^r - 1 for |r| < 0.4.
func ddExpm1(r dd) dd {
	const halvings = 9
	r = r.scale(1. / (1 << halvings))
	// e^r - 1, and then e^(2r) - 1 = 2(e^r - 1) + (e^r - 1)²
	m := ddInverseFactorial[9]
	for i := 8; i >= 1; i-- {
		m = m.mul(r).add(ddInverseFactorial[i])
	}
	m = m.mul(r)
	for range halvings {
		m = m.scale(2).add(m.mul(m))
	}
	return m
}

// ddLog1p returns log(1+t) for 0 <= t < 2^100.
func ddLog1p(t dd) dd {
	if t.hi < 0x1p-20 {
		// t - t²/2 + t³/3 - …
		sum := dd{}
		for n := 7; n >= 1; n-- {
			sum = ddOf(1).quo(ddOf(float64(n))).add(sum.mul(t).neg())
		}
		return sum.mul(t)
	}
	near := math.Log1p(t.hi)
	m, k := ddExp(ddOf(-near))
	d := t.add(ddOf(1)).mul(m.scale(math.Ldexp(1, k))).add(ddOf(-1))
	return ddOf(near).add(d.add(d.mul(d).scale(-0.5)))
}

// ddScale is a power of two so large that what is multiplied by it has all
// its digits where it would be subnormal.
const (
	ddScale     = 0x1p600
	ddScaleBits = 600
)

// scaled is the number v/ddScale if small is set, and v otherwise.
type scaled struct {
	v     dd
	small bool
}

func (s scaled) neg() scaled { return scaled{s.v.neg(), s.small} }

// ulpsFrom returns |got-s| in units of the distance of the doubles next to
// unit, which has the scale of s.
func (s scaled) ulpsFrom(got, unit float64) float64 {
	if math.IsNaN(got) {
		return math.Inf(1)
	}
	scale, bits := 1.0, 0
	if s.small {
		scale, bits = ddScale, ddScaleBits
	}
	e := -1074
	if unit != 0 {
		e = max(math.Ilogb(unit)-bits-52, e)
	}
	d := math.Abs((float64(got*scale) - s.v.hi) - s.v.lo)
	// In two steps: 2^(-e-bits) alone may be out of range.
	up := -e - bits
	return d * math.Ldexp(1, up/2) * math.Ldexp(1, up-up/2)
}

// ddRow holds the exact functions of one row of finite logits or -Inf; its
// slices are used again from row to row.
type ddRow struct {
	x        []float64
	max      float64
	argmax   int
	count    int  // of the entries equal to max
	gap      []dd // x - max, hi = -Inf beyond the range
	e        []dd // exp(gap)·ddScale
	others   dd   // the sum of e but for entry argmax
	logSum   scaled
	sum      dd // 1 + others/ddScale
	logSumDD dd // logSum without its scale
}

func (r *ddRow) set(x []float64) {
	r.x = x
	r.argmax = 0
	for j, v := range x {
		if v > x[r.argmax] {
			r.argmax = j
		}
	}
	r.max = x[r.argmax]
	r.gap = r.gap[:0]
	r.e = r.e[:0]
	r.others = dd{}
	r.count = 0
	for j, v := range x {
		if v == r.max {
			r.count++
		}
		gap := dd{hi: v - r.max}
		var e dd
		if !math.IsInf(gap.hi, -1) {
			gap = ddTwoSum(v, -r.max)
		}
		if gap.hi > -1000 {
			m, k := ddExp(gap)
			f := math.Float64frombits(uint64(k+ddScaleBits+1023) << 52)
			if k < -1500 {
				f = 0
			}
			e = m.scale(f)
		}
		r.gap = append(r.gap, gap)
		r.e = append(r.e, e)
		if j != r.argmax {
			r.others = r.others.add(e)
		}
	}
	plain := r.others.scale(1 / ddScale)
	r.sum = plain.add(ddOf(1))
	if r.others.hi < ddScale*0x1p-200 {
		// log1p(t) is t, but for less than the last of these digits.
		r.logSum = scaled{r.others, true}
		r.logSumDD = plain
	} else {
		r.logSumDD = ddLog1p(plain)
		r.logSum = scaled{r.logSumDD, false}
	}
}

// logProb is -Inf (in v.hi) where x - max is beyond the range of a double.
func (r *ddRow) logProb(j int) scaled {
	g := r.gap[j]
	if g.hi == 0 {
		return r.logSum.neg()
	}
	if math.IsInf(g.hi, -1) {
		return scaled{g, false}
	}
	return scaled{g.add(r.logSumDD.neg()), false}
}

func (r *ddRow) prob(j int) scaled {
	if j == r.argmax && r.e[j].hi == ddScale {
		return scaled{ddOf(1).quo(r.sum), false}
	}
	return scaled{r.e[j].quo(r.sum), true}
}

// complement returns 1 - prob.
func (r *ddRow) complement(j int) scaled {
	if j == r.argmax {
		return scaled{r.others.quo(r.sum), true}
	}
	p := r.e[j].quo(r.sum)
	return scaled{p.scale(1 / ddScale).neg().add(ddOf(1)), false}
}

// logSumExp is +Inf where it is beyond the range of a double.
func (r *ddRow) logSumExp() scaled {
	if r.logSum.small && math.Abs(r.max) < 0x1p400 {
		return scaled{ddOf(float64(r.max * ddScale)).add(r.logSum.v), true}
	}
	s := ddTwoSum(r.max, r.logSumDD.hi)
	if s.hi == 0 {
		return scaled{dd{r.logSumDD.lo, 0}, false}
	}
	return scaled{ddFastTwoSum(s.hi, s.lo+r.logSumDD.lo), false}
}

func TestDoubleDouble(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	worst := 0.0
	check := func(x []float64) {
		t.Helper()
		var r ddRow
		r.set(x)
		e := exact.NewRow(x)
		one := func(what string, j int, s scaled, want *big.Float) {
			t.Helper()
			b := exact.Float(s.v.hi)
			b.Add(b, exact.Float(s.v.lo))
			if s.small {
				b.SetMantExp(b, -ddScaleBits)
			}
			d := exact.New().Sub(b, want)
			d.Quo(d, exact.Ulp(want))
			ulps, _ := d.Float64()
			ulps = math.Abs(ulps)
			worst = max(worst, ulps)
			if ulps > ddError {
				t.Errorf("%s %d of %v is off by %g ulp", what, j, x, ulps)
			}
		}
		one("log-sum-exp", 0, r.logSumExp(), e.LogSumExp)
		for j := range x {
			one("probability", j, r.prob(j), e.Prob[j])
			one("complement", j, r.complement(j), e.Complement[j])
			if lp := r.logProb(j); !math.IsInf(lp.v.hi, 0) {
				one("log-probability", j, lp, e.LogProb[j])
			}
		}
	}
	for _, sd := range []float64{1e-300, 1e-18, 1e-9, 1e-3, 1, 10, 100, 300} {
		for range 60 {
			x := make([]float64, 2+rnd.IntN(6))
			for j := range x {
				x[j] = rnd.NormFloat64() * sd
			}
			check(x)
			x[0] = 0
			for j := range x {
				x[j] = -math.Abs(x[j])
			}
			check(x)
		}
	}
	for _, tiny := range []float64{5e-324, 1e-322, 1e-310, 1e-300} {
		check([]float64{-tiny, -687.7, -687.8})
		check([]float64{tiny, -740, -3 * tiny})
	}
	for _, offset := range []float64{1e3, 1e6, 1e15, 1e300} {
		check([]float64{offset, math.Nextafter(offset, 0), -offset, 0.1})
	}
	for gap := 0.0; gap < 800; gap += 3.3 {
		check([]float64{gap, 0, 0})
		check([]float64{0, -gap})
	}
	t.Logf("within %.2g ulp of the exact functions", worst)
}

// ddError is what the functions of pairs may be off, in ulp.
const ddError = 1e-9
