//! The test that is the work, and the numbers that keep it busy.

/// Bases with which the Miller-Rabin test is certain for numbers of 64 bits (Sorenson and Webster 2015).
const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Whether a number is prime, by trial division. It is slow on purpose: it is the work of this program.
#[must_use]
pub fn is_prime(number: u64) -> bool {
    if number < 4 || number.is_multiple_of(2) {
        return matches!(number, 2 | 3);
    }
    // A quotient instead of a square, which might overflow.
    let mut divisors = (3..)
        .step_by(2)
        .take_while(|divisor| *divisor <= number / divisor);
    divisors.all(|divisor| !number.is_multiple_of(divisor))
}

/// This many numbers of this many bits, each as much work for [`is_prime`] as the others: primes alternate with
/// products of two primes that are close together. For what the options allow: 1,000 numbers, 32 to 62 bits.
#[must_use]
pub fn pick(count: usize, bits: u32) -> Vec<u64> {
    let least: u64 = 1 << (bits - 1);
    let products = {
        let factors = primes_from(least.isqrt() + 1);
        factors.clone().zip(factors.skip(1)).map(|(p, q)| p * q)
    };
    let pairs = primes_from(least).zip(products);
    pairs
        .flat_map(|(prime, product)| [prime, product])
        .take(count)
        .collect()
}

fn primes_from(least: u64) -> impl Iterator<Item = u64> + Clone {
    (least..).filter(|&number| is_prime_at_once(number))
}

/// Whether a number is prime, by the Miller-Rabin test: to find primes for the numbers.
fn is_prime_at_once(number: u64) -> bool {
    if number < 2 || BASES.iter().any(|&base| number.is_multiple_of(base)) {
        return BASES.contains(&number);
    }
    let twos = (number - 1).trailing_zeros();
    let odd = (number - 1) >> twos;
    BASES.iter().all(|&base| {
        let first = power(base, odd, number);
        let squares = std::iter::successors(Some(first), |&last| Some(times(last, last, number)));
        first == 1
            || squares
                .take(twos as usize)
                .any(|square| square == number - 1)
    })
}

fn power(mut base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let mut product = 1;
    while exponent > 0 {
        if exponent % 2 == 1 {
            product = times(product, base, modulus);
        }
        base = times(base, base, modulus);
        exponent /= 2;
    }
    product
}

fn times(a: u64, b: u64, modulus: u64) -> u64 {
    let product = u128::from(a) * u128::from(b) % u128::from(modulus);
    // Less than the modulus.
    product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_up_to_50_are_those_that_everybody_knows() {
        let primes: Vec<_> = (0..50).filter(|&number| is_prime(number)).collect();
        assert_eq!(
            primes,
            [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]
        );
    }

    #[test]
    fn both_tests_agree() {
        for number in (0..20_000).chain(4_294_960_000..4_294_960_100) {
            assert_eq!(is_prime(number), is_prime_at_once(number), "{number}");
        }
    }

    #[test]
    fn numbers_at_the_end_of_the_range_do_not_overflow() {
        assert!(is_prime_at_once(18_446_744_073_709_551_557));
        assert!(!is_prime(u64::MAX), "it has the factor 3");
        assert!(!is_prime_at_once(u64::MAX));
    }

    #[test]
    fn numbers_picked_have_the_size_asked_for_and_half_are_prime() {
        for (count, bits) in [(1_000, 32), (9, 50), (1, 62), (2, 62)] {
            let numbers = pick(count, bits);
            assert_eq!(numbers.len(), count);
            for (index, &number) in numbers.iter().enumerate() {
                assert_eq!(u64::BITS - number.leading_zeros(), bits, "{number}");
                assert_eq!(is_prime_at_once(number), index % 2 == 0, "{number}");
            }
        }
    }
}
