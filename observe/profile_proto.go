package observe

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// sampled is a sample of a CPU profile, without its stack.
type sampled struct {
	count  int
	time   time.Duration
	labels map[string]string
}

// errProfile means that a profile does not have the format that the runtime writes.
var errProfile = errors.New("the profile is malformed")

// The numbers of the fields that are read, from profile.proto in github.com/google/pprof/proto.
const (
	profileSample  = 2
	profileStrings = 6
	sampleValue    = 2
	sampleLabel    = 3
	labelKey       = 1
	labelText      = 2
)

// readSamples reads the samples of a CPU profile. Each sample has two values: how often the
// stack was seen, and the nanoseconds that this stands for. It is written here because the
// package that reads profiles would become a dependency of every program.
func readSamples(profile []byte) ([]sampled, error) {
	z, err := gzip.NewReader(bytes.NewReader(profile))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	var texts []string
	var raw [][]byte
	err = fields(data, func(number int, _ uint64, part []byte) error {
		switch number {
		case profileSample:
			raw = append(raw, part)
		case profileStrings:
			texts = append(texts, string(part))
		}
		return nil
	})
	all := make([]sampled, len(raw))
	for i := range raw {
		err = errors.Join(err, all[i].read(raw[i], texts))
	}
	return all, err
}

// read reads a sample. The profile has its strings after the samples, so read is called when
// all of the profile has been read.
func (s *sampled) read(data []byte, texts []string) error {
	var values []uint64
	s.labels = map[string]string{}
	err := fields(data, func(number int, value uint64, part []byte) error {
		switch number {
		case sampleValue:
			if part == nil { // not packed
				values = append(values, value)
				return nil
			}
			for len(part) > 0 {
				v, n := binary.Uvarint(part)
				if n <= 0 {
					return errProfile
				}
				values, part = append(values, v), part[n:]
			}
		case sampleLabel:
			return s.label(part, texts)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(values) != 2 {
		return errProfile
	}
	s.count, s.time = int(values[0]), time.Duration(values[1])
	return nil
}

// label reads a label whose value is a text.
func (s *sampled) label(data []byte, texts []string) error {
	var key, text uint64
	err := fields(data, func(number int, value uint64, _ []byte) error {
		switch number {
		case labelKey:
			key = value
		case labelText:
			text = value
		}
		return nil
	})
	if err != nil || key >= uint64(len(texts)) || text >= uint64(len(texts)) {
		return errors.Join(err, errProfile)
	}
	s.labels[texts[key]] = texts[text]
	return nil
}

// fields calls f for each field of a protocol buffers message. It passes the field's value or,
// for a field that has a length, its part of the message.
func fields(data []byte, f func(number int, value uint64, part []byte) error) error {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return errProfile
		}
		value, m := binary.Uvarint(data[n:])
		if m <= 0 {
			return errProfile
		}
		data = data[n+m:]
		var part []byte
		switch tag & 7 {
		case 0:
		case 2:
			if value > uint64(len(data)) {
				return errProfile
			}
			part, data = data[:value:value], data[value:]
		default: // the runtime writes no other types
			return errProfile
		}
		if err := f(int(tag>>3&0xffff), value, part); err != nil {
			return err
		}
	}
	return nil
}
