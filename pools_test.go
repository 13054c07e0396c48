// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Under the race detector sync.Pool forgets on purpose.

//go:build !race

package logsoftmax

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax/internal/testkit"
)

// pools are all that there are; TestPools looks for others.
var pools = map[string]*sync.Pool{
	"bufferPool":      &bufferPool,
	"crews":           &crews,
	"entropies":       &entropies,
	"linears":         &linears,
	"longRows":        &longRows,
	"momentsPool":     &momentsPool,
	"normalizations":  &normalizations,
	"smoothTasks":     &smoothTasks,
	"vectorJacobians": &vectorJacobians,
	"workspaces":      &workspaces,
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
