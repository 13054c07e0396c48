// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"example.org/logsoftmax/internal/kernel"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// wantDigest is the digest of the results of every function on the inputs of
// digests. Every architecture, tier, build tag and number of goroutines gives
// the same. Where results are meant to change, TestDigest says what the new
// one is.
const wantDigest = "a33353947ec80d17957511138e78349aadece777c88284a117cf660f50c094fb"

// wantLinearDigest is the same for the functions of a linear layer, and for
// SoftmaxGrad.
const wantLinearDigest = "fcb4363b9b62ff7eaca51c636ed32ecb7aab01e96fdce79eae9c57d53311f636"

// A digester hashes results, in big-endian order, for each function apart.
type digester struct {
	names []string
	sums  map[string]hash.Hash
}

func (d *digester) of(name string) hash.Hash {
	h := d.sums[name]
	if h == nil {
		h = sha256.New()
		d.names, d.sums[name] = append(d.names, name), h
	}
	return h
}

func (d *digester) add(name string, x ...float64) {
	h := d.of(name)
	var b [8]byte
	for _, v := range x {
		binary.BigEndian.PutUint64(b[:], math.Float64bits(v))
		h.Write(b[:])
	}
}

func (d *digester) addMatrix(name string, m *mat.Dense) {
	rows, _ := m.Dims()
	for i := range rows {
		d.add(name, m.RawRowView(i)...)
	}
}

func (d *digester) addLoss(name string, l Loss) {
	d.add(name, l.Sum, l.Weight, float64(l.Rows), float64(l.Ignored), float64(l.Correct))
	d.add("Loss", l.Mean(), l.Perplexity(), l.Accuracy())
	// All digits of the sums.
	sum, weight := l.exact()
	d.of("Loss").Write([]byte(sum.TextBeyond() + ", " + weight.TextBeyond() + "\n"))
}

// digest returns the digest of all that was added.
func (d *digester) digest() string {
	all := sha256.New()
	for _, name := range d.names {
		all.Write(d.sums[name].Sum(nil))
	}
	return hex.EncodeToString(all.Sum(nil))
}

// digestShapes are on both sides of what tells the ways apart in which rows
// and columns are worked on.
var digestShapes = []struct{ rows, cols int }{
	{1, 1},
	{3, 2},
	{200, 2},
	{130, 10},
	{67, 33},
	{17, 64},
	{9, 65},
	{33, 129},
	{12, 300},
	{5, 1000},
	{2, 2047},
	{3, 2048},
	{2, 2049},
	{2, 4200},
	{2100, 9},
	{9, 520},
	{1, 66000},
}

// digests computes the digest. The inputs are integers and single roundings
// of them, the same on every machine.
func digests(t *testing.T) *digester {
	t.Helper()
	d := &digester{sums: make(map[string]hash.Hash)}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var total Loss
	r := rand.New(rand.NewPCG(31, 32))
	below := func(n int) int { return int(r.Uint64() >> 33 % uint64(n)) }
	for round, s := range digestShapes {
		x, soft, upstream := mat.NewDense(s.rows, s.cols, nil), mat.NewDense(s.rows, s.cols, nil), mat.NewDense(s.rows, s.cols, nil)
		width := [...]float64{1, 30, 900}[round%3]
		target := make([]int, s.rows)
		for i := range s.rows {
			row := x.RawRowView(i)
			testkit.FillWith(row, func() float64 { return width * testkit.Uniform(r) })
			at := below(s.cols)
			switch below(12) {
			case 0:
				row[at] += 40
			case 1:
				row[at] = 0x1.23456789abcdep+20
			case 2:
				row[at] = math.Inf(-1)
			case 3:
				row[at], row[below(s.cols)] = width, width
			case 4:
				testkit.FillWith(row, func() float64 { return math.Float64frombits(r.Uint64() &^ (1 << 62)) })
			case 5:
				if i%8 == 0 {
					row[at] = testkit.NaNs[below(len(testkit.NaNs))]
				} else {
					row[at] = math.Copysign(0, testkit.Uniform(r))
				}
			}
			testkit.FillWith(soft.RawRowView(i), func() float64 { return max(0, testkit.Uniform(r)) })
			testkit.FillWith(upstream.RawRowView(i), func() float64 { return testkit.Uniform(r) })
			if target[i] = below(s.cols + 1); target[i] == s.cols {
				target[i] = -100
			}
		}
		weight, sample := make([]float64, s.cols), make([]float64, s.rows)
		testkit.FillWith(weight, func() float64 { return float64(below(5)) / 3 })
		testkit.FillWith(sample, func() float64 { return float64(below(5)) / 7 })
		if round%2 == 1 {
			sample[0] = -1.5
		}

		var dst mat.Dense
		for dim := range 2 {
			dst.Reset()
			Softmax(&dst, x, dim)
			d.addMatrix("Softmax", &dst)
			LogSoftmax(&dst, x, dim)
			d.addMatrix("LogSoftmax", &dst)
			d.add("LogSumExp", LogSumExp(nil, x, dim)...)
			LogSoftmaxGrad(&dst, &dst, upstream, dim)
			d.addMatrix("LogSoftmaxGrad", &dst)
		}
		var logp mat.Dense
		LogSoftmax(&logp, x, 1)
		for _, opts := range []*Options{
			nil,
			{Reduction: Sum},
			{Weight: weight, SampleWeight: sample, Reduction: Sum},
			{Weight: weight, SampleWeight: sample, LabelSmoothing: 0.1, Reduction: Sum},
			{LabelSmoothing: 0.3},
		} {
			l, err := NLLGrad(&dst, &logp, target, opts)
			must(err)
			d.addLoss("NLLGrad", l)
			d.addMatrix("NLLGrad", &dst)
			l, err = CrossEntropyGrad(&dst, x, target, opts)
			must(err)
			d.addLoss("CrossEntropyGrad", l)
			d.addMatrix("CrossEntropyGrad", &dst)
			total.Add(l)
			l, err = CrossEntropy(x, target, opts)
			must(err)
			d.addLoss("CrossEntropy", l)
			l, err = SoftCrossEntropyGrad(&dst, x, soft, opts)
			must(err)
			d.addLoss("SoftCrossEntropyGrad", l)
			d.addMatrix("SoftCrossEntropyGrad", &dst)
			l, err = SoftCrossEntropy(x, soft, opts)
			must(err)
			d.addLoss("SoftCrossEntropy", l)
			each, err := SoftCrossEntropyEach(nil, x, soft, opts)
			must(err)
			d.add("SoftCrossEntropyEach", each...)
			each, err = CrossEntropyEach(nil, x, target, opts)
			must(err)
			d.add("CrossEntropyEach", each...)
			l, err = NLL(&logp, target, opts)
			must(err)
			d.addLoss("NLL", l)
			each, err = NLLEach(nil, &logp, target, opts)
			must(err)
			d.add("NLLEach", each...)
		}
		counts, err := ClassCounts(target, s.cols, &Options{SampleWeight: sample})
		must(err)
		d.add("ClassCounts", counts...)
		for c := range counts {
			counts[c] = 1 + math.Abs(counts[c])
		}
		weights, err := BalancedWeights(counts)
		must(err)
		d.add("BalancedWeights", weights...)
		weights, err = EffectiveNumberWeights(counts, 0.999)
		must(err)
		d.add("EffectiveNumberWeights", weights...)
	}
	d.addLoss("Add", total)
	return d
}

// linearDigests computes the digest of the functions of a linear layer, and of
// SoftmaxGrad, on inputs as those of digests.
func linearDigests(t *testing.T) *digester {
	t.Helper()
	d := &digester{sums: make(map[string]hash.Hash)}
	r := rand.New(rand.NewPCG(33, 34))
	below := func(n int) int { return int(r.Uint64() >> 33 % uint64(n)) }
	for round, s := range []struct{ rows, features, classes int }{
		{1, 1, 1}, {3, 2, 2}, {130, 5, 10}, {67, 33, 64}, {70, 64, 65}, {9, 1030, 17}, {33, 3, 300}, {2, 17, 2049}, {5, 40, 4200},
	} {
		dense := func(rows, cols int, size float64) *mat.Dense {
			m := mat.NewDense(rows, cols, nil)
			testkit.FillWith(m.RawMatrix().Data, func() float64 { return size * testkit.Uniform(r) })
			return m
		}
		x, w, b := dense(s.rows, s.features, 1), dense(s.classes, s.features, [...]float64{1, 20, 300}[round%3]), make([]float64, s.classes)
		testkit.FillWith(b, func() float64 { return testkit.Uniform(r) })
		target := make([]int, s.rows)
		for i := range target {
			switch at := below(s.features); below(15) {
			case 0:
				x.Set(i, at, math.Inf(1))
			case 1:
				x.Set(i, at, testkit.NaNs[below(len(testkit.NaNs))])
			case 2:
				x.Set(i, at, 0x1p-1060)
			}
			if target[i] = below(s.classes + 1); target[i] == s.classes {
				target[i] = -100
			}
		}
		weight, sample := make([]float64, s.classes), make([]float64, s.rows)
		testkit.FillWith(weight, func() float64 { return float64(below(5)) / 3 })
		testkit.FillWith(sample, func() float64 { return float64(below(5)) / 7 })
		for k, opts := range []*Options{
			nil,
			{Reduction: Sum},
			{Weight: weight, SampleWeight: sample},
			{Weight: weight, SampleWeight: sample, LabelSmoothing: 0.1, Reduction: Sum},
			{LabelSmoothing: 0.3},
		} {
			bias := [][]float64{b, nil}[k%2]
			grad := LinearGrad{X: new(mat.Dense), W: new(mat.Dense), B: make([]float64, s.classes)}
			l, err := LinearCrossEntropyGrad(grad, x, w, bias, target, opts)
			if err != nil {
				t.Fatal(err)
			}
			d.addLoss("LinearCrossEntropyGrad", l)
			d.addMatrix("LinearCrossEntropyGrad", grad.X)
			d.addMatrix("LinearCrossEntropyGrad", grad.W)
			d.add("LinearCrossEntropyGrad", grad.B...)
			each, err := LinearCrossEntropyEach(nil, x, w, bias, target, opts)
			if err != nil {
				t.Fatal(err)
			}
			d.add("LinearCrossEntropyEach", each...)
		}
		var logp, grad mat.Dense
		for dim := range 2 {
			logp.Reset()
			LogSoftmax(&logp, w, dim)
			logp.Set(below(s.classes), below(s.features), [...]float64{math.Inf(-1), -1e-20, 700, 0, math.NaN()}[below(5)])
			SoftmaxGrad(&grad, &logp, dense(s.classes, s.features, 3), dim)
			d.addMatrix("SoftmaxGrad", &grad)
			grad.Reset()
		}
	}
	return d
}

func TestDigest(t *testing.T) { holdDigest(t, wantDigest, digests) }

func TestLinearDigest(t *testing.T) { holdDigest(t, wantLinearDigest, linearDigests) }

// holdDigest holds a digest to the one that is wanted, for every tier and
// several numbers of goroutines.
func holdDigest(t *testing.T, want string, digests func(t *testing.T) *digester) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first *digester
	for _, procs := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(procs)
		for _, it := range kernel.Tiers() {
			var d *digester
			restore := kernel.Use(it)
			d = digests(t)
			restore()
			got := d.digest()
			if got == want {
				continue
			}
			if first == nil {
				first = d
				t.Errorf("GOMAXPROCS %d, tier %v: the digest is %q, want %q", procs, it, got, want)
				continue
			}
			for _, name := range d.names {
				if string(d.sums[name].Sum(nil)) != string(first.sums[name].Sum(nil)) {
					t.Errorf("GOMAXPROCS %d, tier %v: %s is not what it was the first time", procs, it, name)
				}
			}
		}
	}
}
