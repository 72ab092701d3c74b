// Copyright (c) 2026 The Bloodraven authors
//
// Permission to use, copy, modify, and distribute this software for any
// purpose with or without fee is hereby granted, provided that the above
// copyright notice and this permission notice appear in all copies.
//
// THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
// WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
// MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
// ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
// WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
// ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
// OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.

// judge crd CRD.yaml        what an API server says when the CRD is created
// judge objects CRD.yaml    what it says of custom resources
//
// A new API server's own code (k8s.io/apiextensions-apiserver) does all of it;
// this program only calls it in the order in which the server does, without
// sockets and storage. Answers are JSON, one value a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

func die(err error) {
	fmt.Fprintln(os.Stderr, "judge:", err)
	os.Exit(1)
}

func main() {
	if len(os.Args) != 3 {
		die(fmt.Errorf("usage: judge crd|objects CRD.yaml"))
	}
	def, err := load(os.Args[2])
	if err != nil {
		die(err)
	}
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	switch os.Args[1] {
	case "crd":
		err = enc.Encode(admission(def))
	case "objects":
		err = objects(def, enc)
	default:
		err = fmt.Errorf("no command is named %q", os.Args[1])
	}
	if err != nil {
		die(err)
	}
	if err := out.Flush(); err != nil {
		die(err)
	}
}
