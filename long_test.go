// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import "os"

// long has the tests that search or sweep do all of it, as .ci/run wants, and
// not what takes a second or two.
var long = os.Getenv("LOGSOFTMAX_LONG") != ""
