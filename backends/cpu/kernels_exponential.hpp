// SPDX-License-Identifier: Apache-2.0
// Exponentials of a vector, and what gates with them. Included inside the anonymous namespace of a file of kernels.

// e^x, relative error below 2e-7: x = n ln 2 + r, and a polynomial in r (Cephes' coefficients). Beyond -87 and 87 it is what it is there,
// whose reciprocal is normal, too.
inline Vector::Floats exponential(Vector::Floats x) {
    x = Vector::smaller(Vector::larger(x, Vector::set(-87.0f)), Vector::set(87.0f));
    const Vector::Floats n = Vector::round_to_even(Vector::multiply(x, Vector::set(1.44269504f)));
    Vector::Floats r = Vector::fma(n, Vector::set(-0.693359375f), x);
    r = Vector::fma(n, Vector::set(2.12194440e-4f), r);
    Vector::Floats p = Vector::set(1.9875691500e-4f);
    constexpr float kCoefficients[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    for (const float c : kCoefficients) p = Vector::fma(p, r, Vector::set(c));
    p = Vector::add(Vector::fma(p, Vector::multiply(r, r), r), Vector::set(1.0f));
    return Vector::times_power_of_two(p, n);
}

// silu(gate) * up
inline __attribute__((always_inline)) Vector::Floats gated(Vector::Floats gate, Vector::Floats up) {
    const Vector::Floats sigmoid_below = Vector::add(Vector::set(1.0f), exponential(Vector::subtract(Vector::zero(), gate)));
    return Vector::multiply(Vector::divide(gate, sigmoid_below), up);
}
