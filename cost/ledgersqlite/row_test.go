package ledgersqlite_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/cost/ledgersqlite"
)

// A row with a correct checksum may still have contents that no record can have.
func FuzzDecodeRow(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), "f", "v", "t", `{"a":"b"}`, "", make([]byte, 96), `{"door":"http"}`)
	f.Add([]byte{}, "", "", "", "", "text", []byte{1}, `{"timeout":"1"}`)
	f.Add([]byte{}, "", "", "", `{"a":1}`, "", []byte{}, "")
	f.Add([]byte{}, "", "", "", `null`, "", []byte{9: 1}, `null`)
	f.Add([]byte{}, "", "", "", `{}`, "", []byte{9: 1}, `{}`)
	f.Fuzz(func(t *testing.T, id []byte, function, version, tenant, labels, failure string, numbers []byte, origin string) {
		row := ledgersqlite.Row{Function: function, Version: version, Tenant: tenant, Labels: labels, Failure: failure, Origin: origin}
		copy(row.ID[:], id)
		copy(row.Job[:], origin)
		for i := range row.Numbers {
			if len(numbers) >= 8*(i+1) {
				row.Numbers[i] = int64(binary.BigEndian.Uint64(numbers[8*i:]))
			} else if len(numbers) > i {
				row.Numbers[i] = int64(numbers[i])
			}
		}
		e, err := ledgersqlite.DecodeRow(&row)
		if err != nil {
			if !errors.Is(err, ledgersqlite.ErrCorrupt) {
				t.Fatalf("it is not said to be damaged: %v", err)
			}
			return
		}
		again, err := ledgersqlite.RoundTrip(e)
		if err != nil {
			t.Fatalf("what was read can't be stored: %v", err)
		}
		e.Err, again.Err = nil, nil // the text of the error is not compared
		require.Equal(t, e, again)
	})
}
