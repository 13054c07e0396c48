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
	size   int    // of the matrix loaded
}

// reply is what peers.py answers.
type reply struct {
	Version, Note string
	Seconds, Loss float64
	Error         string
}

// pythonPeers returns PyTorch and SciPy, run by the first of the interpreters
// that has them, and a function that ends them.
func pythonPeers(interpreters []string) ([]Peer, func()) {
	var peers []Peer
	var running []*python
	for _, m := range []struct {
		name, module string
		parallel     bool
	}{{"PyTorch", "torch", true}, {"SciPy", "scipy", false}} {
		peer := Peer{Name: m.name, parallel: m.parallel}
		p, hello, err := startPython(m.module, interpreters)
		if err != nil {
			peer.Absent = "not installed"
		} else {
			running = append(running, p)
			peer.Version, peer.Note, peer.load = hello.Version, hello.Note, p.load
		}
		peers = append(peers, peer)
	}
	return peers, func() {
		for _, p := range running {
			p.stop()
		}
	}
}

func startPython(module string, interpreters []string) (*python, *reply, error) {
	err := errors.New("no Python interpreter named")
	for _, name := range interpreters {
		var p *python
		var hello *reply
		if p, hello, err = runPython(module, name); err == nil {
			return p, hello, nil
		}
	}
	return nil, nil, err
}

func runPython(module, interpreter string) (*python, *reply, error) {
	dir, err := os.MkdirTemp("", "logsoftmax-bench-")
	if err != nil {
		return nil, nil, err
	}
	p := &python{cmd: exec.Command(interpreter, "-c", peersPython, module), dir: dir}
	p.cmd.Env = append(os.Environ(), "PYTHONWARNINGS=ignore")
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
	x, t := filepath.Join(p.dir, "x"), filepath.Join(p.dir, "target")
	defer func() { _ = os.Remove(x) }()
	defer func() { _ = os.Remove(t) }()
	if err := errors.Join(writeRaw(x, b.X), writeRaw(t, target)); err != nil {
		return nil, err
	}
	p.size = len(b.X)
	_, err := p.ask(map[string]any{"do": "load", "rows": b.Rows, "cols": b.Cols, "x": x, "target": t})
	return p, err
}

// Has reports true: peers.py has all operations for both modules.
func (p *python) Has(Op) bool { return true }

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

// Close does nothing: the next load takes the place of this one.
func (p *python) Close() {}

func writeRaw(path string, data any) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(binary.Write(f, binary.NativeEndian, data), f.Close())
}
