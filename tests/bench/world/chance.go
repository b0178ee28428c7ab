package main

import (
	"math"
	"math/rand/v2"
)

// chance is a stream of random numbers of its own: what one part of the world draws changes no other.
type chance struct{ *rand.Rand }

func newChance(seed uint64, stream uint64) chance {
	return chance{rand.New(rand.NewPCG(seed*0x9e3779b97f4a7c15+1, stream))}
}

// poisson draws how many come where mean come on average.
func (c chance) poisson(mean float64) int {
	if mean <= 0 {
		return 0
	}
	if mean > 30 {
		return int(math.Max(0, math.Round(mean+math.Sqrt(mean)*c.NormFloat64())))
	}
	limit, product, n := math.Exp(-mean), c.Float64(), 0
	for product > limit {
		product *= c.Float64()
		n++
	}
	return n
}

// logNormal draws with the given median.
func (c chance) logNormal(median, sigma float64) float64 {
	if sigma == 0 {
		return median
	}
	return median * math.Exp(sigma*c.NormFloat64())
}

// logNormalMean draws with the given mean.
func (c chance) logNormalMean(mean, sigma float64) float64 {
	return c.logNormal(mean*math.Exp(-sigma*sigma/2), sigma)
}
