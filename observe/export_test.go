package observe

// ReadProfile tells whether a CPU profile can be read.
func ReadProfile(profile []byte) error {
	_, err := readSamples(profile)
	return err
}
