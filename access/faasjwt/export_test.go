package faasjwt

// ParseSet returns the IDs of the keys in a set, and for each key the algorithms that it fits.
func ParseSet(data []byte) (kids []string, algs [][]string, err error) {
	keys, err := parseSet(data)
	for _, k := range keys {
		var fits []string
		for _, alg := range []string{"none", "HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"} {
			if k.fits(alg) {
				fits = append(fits, alg)
			}
		}
		kids, algs = append(kids, k.kid), append(algs, fits)
	}
	return kids, algs, err
}
