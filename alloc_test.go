// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build !race

package logsoftmax

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"example.org/logsoftmax/internal/kernel"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// A calledFunction is a public function with arguments.
type calledFunction struct {
	name string
	call func()
}

// callAll returns calls of all functions with matrices of the given shape and
// results that have their size. of makes the inputs of the storage.
//
// What is the caller's is added to memory if that is not nil.
func callAll(t *testing.T, rows, cols int, of func(*mat.Dense) mat.Matrix, memory *[]span) []calledFunction {
	r := rand.New(rand.NewPCG(41, 42))
	dense := func(f func() float64) *mat.Dense {
		m := mat.NewDense(rows, cols, nil)
		testkit.FillWith(m.RawMatrix().Data, f)
		return m
	}
	x := of(dense(func() float64 { return 5 * testkit.Uniform(r) }))
	soft := of(dense(func() float64 { return math.Abs(testkit.Uniform(r)) }))
	dst := mat.NewDense(rows, cols, nil)
	each, along := make([]float64, rows), make([]float64, cols)
	target := make([]int, rows)
	for i := range target {
		target[i] = r.IntN(cols)
	}
	weight, sample := make([]float64, cols), make([]float64, rows)
	kernel.Fill(weight, 0.7)
	kernel.Fill(sample, 1.3)
	plain := &Options{Weight: weight, SampleWeight: sample, Ignore: []int{-1, 3}}
	if memory != nil {
		for _, s := range [][]float64{dst.RawMatrix().Data, each, along, weight, sample} {
			addSpan(memory, s)
		}
		for _, m := range []mat.Matrix{x, soft} {
			if inner, ok := m.(opaque); ok {
				m = inner.m
			}
			raw, _, _ := rawOf(m)
			addSpan(memory, raw.Data)
		}
		addSpan(memory, target)
		addSpan(memory, plain.Ignore)
	}
	smoothed := &Options{Weight: weight, SampleWeight: sample, LabelSmoothing: 0.1, Reduction: Sum}
	must := func(_ any, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	// Converting a Loss for must would allocate.
	mustLoss := func(_ Loss, err error) { must(nil, err) }
	mustEach := func(_ []float64, err error) { must(nil, err) }
	calls := []calledFunction{
		{"LogSoftmax dim 0", func() { LogSoftmax(dst, x, 0) }},
		{"LogSoftmax dim 1", func() { LogSoftmax(dst, x, 1) }},
		{"Softmax dim 0", func() { Softmax(dst, x, 0) }},
		{"Softmax dim 1", func() { Softmax(dst, x, 1) }},
		{"LogSumExp dim 0", func() { LogSumExp(along, x, 0) }},
		{"LogSumExp dim 1", func() { LogSumExp(each, x, 1) }},
		{"LogSoftmaxGrad dim 0", func() { LogSoftmaxGrad(dst, x, soft, 0) }},
		{"SoftmaxGrad dim 0", func() { SoftmaxGrad(dst, x, soft, 0) }},
		{"SoftmaxGrad dim 1", func() { SoftmaxGrad(dst, x, soft, 1) }},
		{"LogSoftmaxGrad dim 1", func() { LogSoftmaxGrad(dst, x, soft, 1) }},
	}
	for _, o := range []struct {
		name string
		opts *Options
	}{{"", nil}, {", weighted", plain}, {", smoothed", smoothed}} {
		calls = append(calls,
			calledFunction{"NLL" + o.name, func() { mustLoss(NLL(x, target, o.opts)) }},
			calledFunction{"NLLEach" + o.name, func() { mustEach(NLLEach(each, x, target, o.opts)) }},
			calledFunction{"NLLGrad" + o.name, func() { mustLoss(NLLGrad(dst, x, target, o.opts)) }},
			calledFunction{"CrossEntropy" + o.name, func() { mustLoss(CrossEntropy(x, target, o.opts)) }},
			calledFunction{"CrossEntropyEach" + o.name, func() { mustEach(CrossEntropyEach(each, x, target, o.opts)) }},
			calledFunction{"CrossEntropyGrad" + o.name, func() { mustLoss(CrossEntropyGrad(dst, x, target, o.opts)) }},
			calledFunction{"SoftCrossEntropy" + o.name, func() { mustLoss(SoftCrossEntropy(x, soft, o.opts)) }},
			calledFunction{"SoftCrossEntropyEach" + o.name, func() { mustEach(SoftCrossEntropyEach(each, x, soft, o.opts)) }},
			calledFunction{"SoftCrossEntropyGrad" + o.name, func() { mustLoss(SoftCrossEntropyGrad(dst, x, soft, o.opts)) }},
		)
	}
	inX, ok := x.(*mat.Dense)
	if !ok {
		return calls
	}
	// In place, where the inputs have to be as they were.
	inSoft := soft.(*mat.Dense)
	xBefore, softBefore := slices.Clone(inX.RawMatrix().Data), slices.Clone(inSoft.RawMatrix().Data)
	again := func(f func()) func() {
		return func() {
			copy(inX.RawMatrix().Data, xBefore)
			copy(inSoft.RawMatrix().Data, softBefore)
			f()
		}
	}
	for dim := range 2 {
		calls = append(calls,
			calledFunction{fmt.Sprintf("LogSoftmax dim %d in place", dim), again(func() { LogSoftmax(inX, x, dim) })},
			calledFunction{fmt.Sprintf("Softmax dim %d in place", dim), again(func() { Softmax(inX, x, dim) })},
			calledFunction{fmt.Sprintf("LogSoftmaxGrad dim %d in place", dim), again(func() { LogSoftmaxGrad(inX, x, soft, dim) })},
			calledFunction{fmt.Sprintf("SoftmaxGrad dim %d in place of upstream", dim), again(func() { SoftmaxGrad(inSoft, x, soft, dim) })},
		)
	}
	for _, o := range []*Options{nil, plain, smoothed} {
		calls = append(calls,
			calledFunction{"NLLGrad in place", again(func() { mustLoss(NLLGrad(inX, x, target, o)) })},
			calledFunction{"CrossEntropyGrad in place", again(func() { mustLoss(CrossEntropyGrad(inX, x, target, o)) })},
			calledFunction{"SoftCrossEntropyGrad in place", again(func() { mustLoss(SoftCrossEntropyGrad(inX, x, soft, o)) })},
			calledFunction{"SoftCrossEntropyGrad in place of the target", again(func() { mustLoss(SoftCrossEntropyGrad(inSoft, x, soft, o)) })},
		)
	}
	return calls
}

// A span is a part of memory.
type span struct{ begin, end uintptr }

// addSpan adds the memory of s to a list.
func addSpan[T any](memory *[]span, s []T) {
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	*memory = append(*memory, span{begin, begin + uintptr(len(s))*unsafe.Sizeof(*new(T))})
}

func asIs(m *mat.Dense) mat.Matrix { return m }

func transposed(m *mat.Dense) mat.Matrix { return mat.DenseCopyOf(m.T()).T() }

// opaque is a matrix of which only At is known.
type opaque struct{ m *mat.Dense }

func (o opaque) Dims() (int, int)    { return o.m.Dims() }
func (o opaque) At(i, j int) float64 { return o.m.At(i, j) }
func (o opaque) T() mat.Matrix       { return mat.Transpose{Matrix: o} }

var memoryLayouts = []struct {
	name string
	of   func(*mat.Dense) mat.Matrix
}{
	{"a Dense", asIs},
	{"a transpose", transposed},
	{"a matrix with At alone", func(m *mat.Dense) mat.Matrix { return opaque{m} }},
}

// TestAllocations has small calls allocate nothing.
func TestAllocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, tier := range kernel.Tiers() {
		t.Run(tier.String(), func(t *testing.T) {
			defer kernel.Use(tier)()
			for _, s := range []struct{ rows, cols int }{{1, 1}, {2, 3}, {32, 10}, {100, 10}, {9, 64}, {7, 65}, {5, 100}, {3, 1000}, {2, 3000}, {2500, 3}} {
				for _, layout := range memoryLayouts {
					for _, f := range callAll(t, s.rows, s.cols, layout.of, nil) {
						if n := testing.AllocsPerRun(10, f.call); n > 0 {
							t.Errorf("%s of %d×%d, %s, allocates %v times a call", f.name, s.rows, s.cols, layout.name, n)
						}
					}
				}
			}
		})
	}
}

// allocated returns how often, and how many bytes, a call allocates on all
// goroutines.
func allocated(call func()) (count, size uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// TestAllocationsParallel has calls that are shared by several goroutines
// allocate a little for each of them.
func TestAllocationsParallel(t *testing.T) {
	const procs = 4
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, s := range []struct{ rows, cols int }{{1 << 15, 4}, {1 << 9, 1 << 8}, {16, 1 << 13}, {1, 1 << 17}, {1 << 17, 1}} {
		if goroutines(procs, elements(s.rows, s.cols)) != procs {
			t.Errorf("%d×%d is not worth %d goroutines", s.rows, s.cols, procs)
		}
		for _, layout := range []struct {
			name string
			of   func(*mat.Dense) mat.Matrix
		}{{"a Dense", asIs}, {"a transpose", transposed}} {
			for _, f := range callAll(t, s.rows, s.cols, layout.of, nil) {
				// The least of a few calls: a goroutine may find the buffers
				// that it could have used in use.
				least := uint64(math.MaxUint64)
				for n := 0; n < 20 && least > 4*procs; n++ {
					count, _ := allocated(f.call)
					least = min(least, count)
				}
				if least > 4*procs {
					t.Errorf("%s of %d×%d, %s, allocates %d times a call on %d processors", f.name, s.rows, s.cols, layout.name, least, procs)
				}
			}
		}
	}
}

// TestNothingOfSize has no call allocate anything near the size of a matrix,
// even where there are no buffers of earlier calls: not of many rows, and not of
// a few long ones either, along which all memory is of the length of a chunk.
func TestNothingOfSize(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	shapes := []struct{ rows, cols int }{{1 << 12, 1 << 8}, {1, 1 << 20}, {1 << 18, 4}}
	if testkit.Long() > 0 {
		shapes = append(shapes, []struct{ rows, cols int }{{1, 4194304}, {4, 1048576}, {4194304, 1}, {1048576, 4}, {64, 50257}, {1 << 12, 1 << 9}, {4, 1 << 18}, {1 << 20, 1}}...)
	}
	for _, s := range shapes {
		for k, layout := range memoryLayouts {
			for n, f := range callAll(t, s.rows, s.cols, layout.of, nil) {
				if testkit.Long() == 0 && n%8 != k {
					continue
				}
				// A collection, run twice, empties the pools.
				runtime.GC()
				runtime.GC()
				most := 8 * s.rows * s.cols / 7
				if s.cols == 50257 {
					// Two goroutines may each have some rows of two transposes.
					most = 2 * (2*4<<20 + 1<<20)
				}
				if _, size := allocated(f.call); size > uint64(most) {
					t.Errorf("%s of %d×%d, %s, allocates %d bytes", f.name, s.rows, s.cols, layout.name, size)
				}
			}
		}
	}
}

// TestNoGoroutineLeft counts goroutines after large calls.
func TestNoGoroutineLeft(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	before := runtime.NumGoroutine()
	for _, s := range []struct{ rows, cols int }{{5000, 40}, {300, 3000}, {1, 300000}} {
		for _, f := range callAll(t, s.rows, s.cols, asIs, nil) {
			f.call()
		}
	}
	// One that has done its work may yet have to end.
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// linearCalls returns calls of the functions of a linear layer.
func linearCalls(t *testing.T, rows, features, classes int, opts *Options, memory *[]span) []calledFunction {
	r := rand.New(rand.NewPCG(43, 44))
	x, w := mat.NewDense(rows, features, nil), mat.NewDense(classes, features, nil)
	testkit.FillWith(x.RawMatrix().Data, func() float64 { return testkit.Uniform(r) })
	testkit.FillWith(w.RawMatrix().Data, func() float64 { return testkit.Uniform(r) })
	grad := LinearGrad{X: mat.NewDense(rows, features, nil), W: mat.NewDense(classes, features, nil), B: make([]float64, classes)}
	b, each, target := make([]float64, classes), make([]float64, rows), make([]int, rows)
	for i := range target {
		target[i] = r.IntN(classes)
	}
	if memory != nil {
		for _, m := range []*mat.Dense{x, w, grad.X, grad.W} {
			addSpan(memory, m.RawMatrix().Data)
		}
		for _, s := range [][]float64{b, each, grad.B} {
			addSpan(memory, s)
		}
		addSpan(memory, target)
	}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return []calledFunction{
		{"LinearCrossEntropy", func() { _, err := LinearCrossEntropy(x, w, b, target, opts); check(err) }},
		{"LinearCrossEntropyEach", func() { _, err := LinearCrossEntropyEach(each, x, w, b, target, opts); check(err) }},
		{"LinearCrossEntropyGrad", func() { _, err := LinearCrossEntropyGrad(grad, x, w, b, target, opts); check(err) }},
	}
}

// TestLinearAllocations: small calls allocate nothing.
func TestLinearAllocations(t *testing.T) {
	for _, s := range [][3]int{{1, 3, 2}, {8, 16, 10}, {10, 20, 100}} {
		for _, opts := range []*Options{nil, {LabelSmoothing: 0.1}, {SampleWeight: make([]float64, s[0])}} {
			for _, f := range linearCalls(t, s[0], s[1], s[2], opts, nil) {
				if n := testing.AllocsPerRun(10, f.call); n > 0 {
					t.Errorf("%s of %v allocates %v times a call", f.name, s, n)
				}
			}
		}
	}
}

// TestLinearMemory has no call take more memory than its documentation says,
// where there are no buffers of earlier calls.
func TestLinearMemory(t *testing.T) {
	const most = 4 << 20
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	shapes := [][3]int{{40000, 4, 3}, {40, 20, 50257}, {20, 5000, 10}, {9, 1, 600000}}
	if testkit.Long() > 0 {
		shapes = append(shapes, [][3]int{{3000, 64, 1000}, {300, 8, 8192}, {200, 1500, 300}}...)
	}
	for _, s := range shapes {
		sample := make([]float64, s[0])
		for i := range sample {
			sample[i] = float64(i % 2)
		}
		for _, opts := range []*Options{nil, {LabelSmoothing: 0.1, SampleWeight: sample}} {
			if opts != nil && s[2] == 600000 {
				// Its coefficients alone take more.
				continue
			}
			for _, procs := range []int{1, 2} {
				runtime.GOMAXPROCS(procs)
				for _, f := range linearCalls(t, s[0], s[1], s[2], opts, nil) {
					// A collection, run twice, empties the pools.
					runtime.GC()
					runtime.GC()
					if _, size := allocated(f.call); size > uint64(procs*most) {
						t.Errorf("%s of %v with %+v takes %.1f MB on %d processors", f.name, s, opts != nil, float64(size)/(1<<20), procs)
					}
				}
			}
		}
	}
}

// pools are all that there are; TestPools looks for others.
var pools = map[string]*sync.Pool{
	"bufferPool":       &bufferPool,
	"crews":            &crews,
	"linears":          &linears,
	"longRows":         &longRows,
	"longWeightedRows": &longWeightedRows,
	"momentsPool":      &momentsPool,
	"normalizations":   &normalizations,
	"vectorJacobians":  &vectorJacobians,
	"workspaces":       &workspaces,
}

// drained returns what is in the pools, and empties them. What a processor has
// for itself is only to be had by a goroutine that runs there, so there is one
// for each, all at once.
func drained() map[string][]any {
	procs := runtime.GOMAXPROCS(0)
	found := make(map[string][]any)
	var lock sync.Mutex
	var group sync.WaitGroup
	var running atomic.Int32
	for name, p := range pools {
		p.New = nil
		_ = name
	}
	for range procs {
		group.Go(func() {
			for running.Add(1); running.Load() < int32(procs); {
			}
			for name, p := range pools {
				for x := p.Get(); x != nil; x = p.Get() {
					lock.Lock()
					found[name] = append(found[name], x)
					lock.Unlock()
				}
			}
		})
	}
	group.Wait()
	return found
}

// An idle is a look at an object that waits in a pool.
type idle struct {
	where    string
	seen     map[uintptr]bool
	bytes    int
	problems []string
	foreign  func(p uintptr, size int) bool
}

func (o *idle) complain(path, what string) {
	o.problems = append(o.problems, o.where+path+" "+what)
}

// look goes through all that v leads to: memory of the caller's, functions and
// matrices must not be there, nor a switch that is on.
func (o *idle) look(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			o.complain(path, "is set")
		}
	case reflect.Interface, reflect.Func, reflect.Map, reflect.Chan:
		if !v.IsNil() {
			o.complain(path, "is not nil")
		}
	case reflect.Pointer:
		if v.IsNil() || o.seen[v.Pointer()] {
			return
		}
		o.seen[v.Pointer()] = true
		size := int(v.Type().Elem().Size())
		o.bytes += size
		if o.foreign(v.Pointer(), size) {
			o.complain(path, "points to memory of the caller's")
			return
		}
		o.look(path, v.Elem())
	case reflect.Slice:
		size := v.Cap() * int(v.Type().Elem().Size())
		if size == 0 || o.seen[v.Pointer()] {
			return
		}
		o.seen[v.Pointer()] = true
		o.bytes += size
		if o.foreign(v.Pointer(), size) {
			o.complain(path, "is memory of the caller's")
			return
		}
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Pointer || k == reflect.Slice {
			for i := range v.Cap() {
				o.look(fmt.Sprintf("%s[%d]", path, i), v.Slice(0, v.Cap()).Index(i))
			}
		}
	case reflect.Array:
		if k := v.Type().Elem().Kind(); k != reflect.Float64 && k != reflect.Uint64 && k != reflect.Int64 && k != reflect.Int && k != reflect.Bool {
			for i := range v.Len() {
				o.look(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		}
	case reflect.Struct:
		t := v.Type()
		if t.PkgPath() == "sync" || t.PkgPath() == "sync/atomic" {
			return
		}
		for i := range v.NumField() {
			o.look(path+"."+t.Field(i).Name, v.Field(i))
		}
	}
}

// TestPools looks at every pool after every function: what waits there holds
// nothing of the caller's, has no switch on that the next call would find, and
// is a few megabytes.
func TestPools(t *testing.T) {
	var declared []string
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, value := range v.Values {
					if c, ok := value.(*ast.CompositeLit); ok {
						if sel, ok := c.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Pool" {
							declared = append(declared, v.Names[i].Name)
						}
					}
				}
			}
		}
	}
	for _, name := range declared {
		if pools[name] == nil {
			t.Errorf("the pool %s is not looked at", name)
		}
	}
	if len(declared) != len(pools) {
		t.Errorf("%d pools are declared: %v", len(declared), declared)
	}

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	news := make(map[string]func() any)
	for name, p := range pools {
		news[name] = p.New
	}
	restore := func() {
		for name, p := range pools {
			p.New = news[name]
		}
	}
	defer restore()
	drained()
	used := make(map[string]bool)
	look := func(what string, f calledFunction, memory *[]span) {
		t.Helper()
		restore()
		f.call()
		kept := 0
		for name, objects := range drained() {
			used[name] = true
			for _, x := range objects {
				o := idle{where: name, seen: make(map[uintptr]bool), foreign: func(p uintptr, size int) bool {
					return slices.ContainsFunc(*memory, func(s span) bool { return p < s.end && s.begin < p+uintptr(size) })
				}}
				o.look("", reflect.ValueOf(x))
				kept += o.bytes
				for _, problem := range o.problems {
					t.Errorf("%s%s: %s", f.name, what, problem)
				}
			}
		}
		if kept > 12<<20 {
			t.Errorf("%s%s: %d bytes are kept", f.name, what, kept)
		}
	}
	shapes := []struct{ rows, cols int }{{3, 2}, {700, 10}, {40, 100}, {3, 3000}, {3000, 3}, {1, 100_000}}
	if testkit.Long() > 0 {
		shapes = append(shapes, []struct{ rows, cols int }{{5000, 40}, {600, 300}, {3, 200_000}, {200_000, 2}}...)
	}
	for _, s := range shapes {
		for _, layout := range memoryLayouts {
			var memory []span
			for _, f := range callAll(t, s.rows, s.cols, func(m *mat.Dense) mat.Matrix { return layout.of(m) }, &memory) {
				look(fmt.Sprintf(" of %d×%d, %s", s.rows, s.cols, layout.name), f, &memory)
			}
		}
	}
	for _, s := range [][3]int{{1, 3, 2}, {300, 20, 10}, {70, 50, 300}} {
		for _, opts := range []*Options{nil, {LabelSmoothing: 0.1, SampleWeight: make([]float64, s[0])}} {
			var memory []span
			for _, f := range linearCalls(t, s[0], s[1], s[2], opts, &memory) {
				look(fmt.Sprintf(" of %v", s), f, &memory)
			}
		}
	}
	for name := range pools {
		if !used[name] {
			t.Errorf("nothing was ever in the pool %s", name)
		}
	}
}
