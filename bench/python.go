// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed peers.py
var peersPython string

// python is a running peers.py for one module, and the one batch it has loaded.
type python struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	dir    string // for matrices on their way
	ops    []Op   // that the module has
	size   int    // of the matrix that an operation writes
}

// reply is what peers.py answers.
type reply struct {
	Version, Note string
	Ops           []Op
	Seconds, Loss float64
	Bytes         int64
	Error         string
}

// pythonPeers returns the peers of peers.py, each run by the first of the
// interpreters that has its module, and a function that ends them.
func pythonPeers(interpreters []string) ([]Peer, func()) {
	var peers []Peer
	var running []*python
	for _, m := range []struct {
		name, class string
		parallel    bool
	}{
		{"PyTorch", "Torch", true},
		{"PyTorch chunked", "TorchChunked", true},
		{"SciPy", "Scipy", false},
		{"scikit-learn", "Sklearn", true},
	} {
		peer := Peer{Name: m.name, process: true, parallel: m.parallel}
		p, hello, err := startPython(m.class, interpreters)
		if err != nil {
			peer.Absent = "not installed"
		} else {
			running = append(running, p)
			p.ops = hello.Ops
			peer.Version, peer.Note = hello.Version, hello.Note
			if slices.Contains(p.ops, LinearGrad) {
				peer.linear = p.load
			}
			if slices.ContainsFunc(p.ops, func(op Op) bool { return op != LinearGrad }) {
				peer.load = p.load
			}
		}
		peers = append(peers, peer)
	}
	return peers, func() {
		for _, p := range running {
			p.stop()
		}
	}
}

// interpreters returns where to look for Python: what bench/peers.sh installed,
// then what the machine has.
func interpreters() []string {
	list := []string{"python3", "/usr/bin/python3", "python"}
	dir := os.Getenv("LOGSOFTMAX_PEERS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return list
		}
		dir = filepath.Join(cache, "logsoftmax", "peers")
	}
	return append([]string{filepath.Join(dir, "python")}, list...)
}

func startPython(class string, interpreters []string) (*python, *reply, error) {
	err := errors.New("no Python interpreter named")
	for _, name := range interpreters {
		var p *python
		var hello *reply
		if p, hello, err = runPython(class, name); err == nil {
			return p, hello, nil
		}
	}
	return nil, nil, err
}

func runPython(class, interpreter string) (*python, *reply, error) {
	dir, err := os.MkdirTemp("", "logsoftmax-bench-")
	if err != nil {
		return nil, nil, err
	}
	p := &python{cmd: exec.Command(interpreter, "-c", peersPython, class), dir: dir}
	p.cmd.Env = append(pythonEnvironment(), "PYTHONWARNINGS=ignore")
	if c := atenCapability(); c != "" && os.Getenv("ATEN_CPU_CAPABILITY") == "" {
		p.cmd.Env = append(p.cmd.Env, "ATEN_CPU_CAPABILITY="+c)
	}
	p.cmd.Stderr = &p.stderr
	p.in, err = p.cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	hello, err := p.receive()
	if err != nil {
		p.stop()
		return nil, nil, err
	}
	return p, hello, nil
}

// pythonEnvironment is this process's without what tells OpenBLAS of a processor
// other than the one it finds.
func pythonEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OPENBLAS_CORETYPE=") || strings.HasPrefix(v, "OPENBLAS_L2_SIZE=")
	})
}

// atenCapability names the best vector code of PyTorch that this processor
// runs: not every build picks it by itself.
func atenCapability() string {
	return map[string]string{"AVX-512": "avx512", "AVX2": "avx2"}[vector()]
}

func (p *python) stop() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
	_ = os.RemoveAll(p.dir)
}

func (p *python) receive() (*reply, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(p.stderr.String()))
	}
	var r reply
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return nil, err
	}
	if r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return &r, nil
}

func (p *python) ask(request map[string]any) (*reply, error) {
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	return p.receive()
}

func (p *python) load(b *Batch) (Work, error) {
	target := make([]int64, len(b.Target))
	for i, t := range b.Target {
		target[i] = int64(t)
	}
	request := map[string]any{"do": "load", "rows": b.Rows, "cols": b.Cols, "features": b.Features}
	for name, data := range map[string]any{"x": b.X, "w": b.W, "b": b.B, "weight": b.Weight, "target": target} {
		path := filepath.Join(p.dir, name)
		defer func() { _ = os.Remove(path) }()
		if err := writeRaw(path, data); err != nil {
			return nil, err
		}
		request[name] = path
	}
	p.size = len(b.Dst)
	_, err := p.ask(request)
	return p, err
}

func (p *python) Has(op Op) bool { return slices.Contains(p.ops, op) }

func (p *python) Time(op Op, calls, threads int) (time.Duration, error) {
	r, err := p.ask(map[string]any{"do": "time", "op": op, "calls": calls, "threads": threads})
	if err != nil {
		return 0, err
	}
	return time.Duration(r.Seconds * float64(time.Second)), nil
}

func (p *python) Result(op Op) (float64, []float64, error) {
	request := map[string]any{"do": "result", "op": op}
	if op == CrossEntropy {
		r, err := p.ask(request)
		if err != nil {
			return 0, nil, err
		}
		return r.Loss, nil, nil
	}
	path := filepath.Join(p.dir, "out")
	defer func() { _ = os.Remove(path) }()
	request["out"] = path
	r, err := p.ask(request)
	if err != nil {
		return 0, nil, err
	}
	out := make([]float64, p.size)
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = f.Close() }()
	return r.Loss, out, binary.Read(bufio.NewReader(f), binary.NativeEndian, out)
}

// peak performs op once, and returns how much memory was in use at most since
// the inputs were loaded, beyond the result.
func (p *python) peak(op Op) (int64, error) {
	r, err := p.ask(map[string]any{"do": "peak", "op": op})
	if err != nil {
		return 0, err
	}
	return max(0, r.Bytes-8*int64(p.size)), nil
}

// Close does nothing: the next load takes the place of this one.
func (p *python) Close() {}

// writeRaw writes numbers as they lie in memory.
func writeRaw(path string, data any) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(binary.Write(w, binary.NativeEndian, data), w.Flush(), f.Close())
}
