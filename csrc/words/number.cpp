#include "words/number.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#if defined(_WIN32)
#include <locale.h>
#elif defined(__APPLE__)
#include <xlocale.h>
#else
#include <clocale>
#endif

namespace pyembed {
namespace {

constexpr double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                             1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr i64 largest_power = 22;  // all of these are doubles without rounding

// The C library's, in the locale that has a point in numbers, whatever the program's is.
#if defined(_WIN32)
double library_number(const char* text, double) {
    static const _locale_t plain = _create_locale(LC_ALL, "C");
    return _strtod_l(text, nullptr, plain);
}
float library_number(const char* text, float) {
    static const _locale_t plain = _create_locale(LC_ALL, "C");
    return _strtof_l(text, nullptr, plain);
}
#else
locale_t plain_locale() {
    static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
    return plain;
}
double library_number(const char* text, double) {
    return strtod_l(text, nullptr, plain_locale());
}
float library_number(const char* text, float) {
    return strtof_l(text, nullptr, plain_locale());
}
#endif

template <class T>
T slowly(const char* text, const char* end) {
    constexpr std::ptrdiff_t usual = 127;
    if (end - text > usual) return library_number(std::string(text, end).c_str(), T{});
    char copy[usual + 1];
    std::memcpy(copy, text, static_cast<std::size_t>(end - text));
    copy[end - text] = 0;
    return library_number(copy, T{});
}

// What stands before the exponent, as far as 19 digits go, and the power of ten beside it.
struct Decimal {
    u64 digits = 0;
    i64 power = 0;
    bool is_cut = false;
};

bool is_digit(char c) {
    return static_cast<unsigned char>(c - '0') <= 9;
}

// digits · 10^power where both are doubles without rounding: rounded once, so exact. Else false.
bool quickly(const Decimal& decimal, double* number) {
    constexpr u64 exact = u64{1} << 53;
    if (decimal.is_cut || decimal.digits > exact) return false;
    if (decimal.power < -largest_power || decimal.power > largest_power) return false;
    const double digits = static_cast<double>(decimal.digits);
    *number = decimal.power < 0 ? digits / powers[-decimal.power] : digits * powers[decimal.power];
    return true;
}

// By way of a double that is off by a few of its last places at the most: so the float nearest to it is the
// one sought, unless the middle between two floats is as near. Else false.
bool quickly(const Decimal& decimal, float* number) {
    if (decimal.digits == 0) {
        *number = 0.0f;
        return true;
    }
    if (decimal.power < -2 * largest_power || decimal.power > largest_power) return false;
    double value = static_cast<double>(decimal.digits);
    if (decimal.power >= 0) {
        value *= powers[decimal.power];
    } else {
        const i64 first = std::min(largest_power, -decimal.power);
        value = value / powers[first] / powers[-decimal.power - first];
    }
    if (value < static_cast<double>(std::numeric_limits<float>::min()) ||
        value > static_cast<double>(std::numeric_limits<float>::max()) / 2)
        return false;
    u64 bits;
    std::memcpy(&bits, &value, sizeof(bits));
    constexpr u64 dropped = 29;  // bits of a double that a float has not
    constexpr u64 middle = u64{1} << (dropped - 1);
    constexpr u64 doubt = 16;
    const u64 rest = bits & ((u64{1} << dropped) - 1);
    if (rest - (middle - doubt) <= 2 * doubt) return false;
    *number = static_cast<float>(value);
    return true;
}

template <class T>
constexpr int least_digits = std::numeric_limits<T>::digits10;
template <class T>
constexpr int most_digits = std::numeric_limits<T>::max_digits10;

// d.ddde±xx, as C has it, to a number without needless zeros.
char* tidied(const char* text, const char* end, char* out) {
    const char* const e = std::find(text, end, 'e');
    const char* last = e;
    while (last > text && last[-1] == '0') --last;
    if (last > text && !is_digit(last[-1])) --last;
    // The digits alone, whatever stands between the first and the second.
    char digits[longest_number];
    int count = 0;
    const bool is_negative = *text == '-';
    for (const char* c = text; c < last; ++c)
        if (is_digit(*c)) digits[count++] = *c;
    const int exponent = std::atoi(e + 1);
    if (is_negative) *out++ = '-';
    const auto put = [&](int from, int to) {
        for (int i = from; i < to; ++i) *out++ = i < count ? digits[i] : '0';
    };
    if (exponent < -5 || exponent > 15) {
        put(0, 1);
        if (count > 1) *out++ = '.';
        put(1, count);
        return out + std::snprintf(out, 8, "e%d", exponent);
    }
    if (exponent >= 0) {
        put(0, exponent + 1);
        *out++ = '.';
        put(exponent + 1, std::max(count, exponent + 2));
        return out;
    }
    *out++ = '0';
    *out++ = '.';
    for (int zero = exponent + 1; zero < 0; ++zero) *out++ = '0';
    put(0, count);
    return out;
}

// d.ddde±xx of `digits` digits, without the C library, for floats: a double has digits enough to scale in.
// Not always the nearest: who calls it reads it again.
char* scientific(float number, int digits, char* out) {
    const double value = std::fabs(static_cast<double>(number));
    int exponent = static_cast<int>(std::floor(std::log10(value)));
    const auto scaled = [&](int to) {
        const int shift = digits - 1 - to;
        double result = value;
        int left = std::abs(shift);
        for (; left > 0; left -= static_cast<int>(largest_power)) {
            const double power = powers[std::min<i64>(left, largest_power)];
            result = shift > 0 ? result * power : result / power;
        }
        return static_cast<u64>(std::llround(result));
    };
    u64 whole = scaled(exponent);
    u64 limit = 1;
    for (int i = 0; i < digits; ++i) limit *= 10;
    if (whole >= limit) whole = scaled(++exponent);
    if (whole < limit / 10) whole = scaled(--exponent);
    if (number < 0) *out++ = '-';
    char reversed[longest_number];
    for (int i = 0; i < digits; ++i, whole /= 10) reversed[i] = static_cast<char>('0' + whole % 10);
    for (int i = digits; i-- > 0;) *out++ = reversed[i];
    return out + std::snprintf(out, 8, "e%d", exponent);
}

char* scientific(double number, int digits, char* out) {
    return out + std::snprintf(out, longest_number, "%.*e", digits - 1, number);
}

template <class T>
char* shortest(T number, char* out) {
    if (number == T{}) {
        const char* const zero = std::signbit(number) ? "-0.0" : "0.0";
        const std::size_t length = std::strlen(zero);
        std::memcpy(out, zero, length);
        return out + length;
    }
    char text[longest_number];
    for (int digits = least_digits<T>; digits <= most_digits<T>; ++digits) {
        char* const stop = tidied(text, scientific(number, digits, text), out);
        T again;
        read_number(out, stop, &again);
        if (again == number) return stop;
    }
    const int length =
        std::snprintf(text, sizeof(text), "%.*e", most_digits<T> - 1, static_cast<double>(number));
    return tidied(text, text + length, out);
}

}  // namespace

template <class T>
const char* read_number(const char* text, const char* end, T* number) {
    const char* at = text;
    const bool is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) ++at;
    Decimal decimal;
    bool has_digits = false;
    const auto read_digits = [&](bool is_fraction) {
        constexpr u64 most = 1'000'000'000'000'000'000;
        for (; at < end && is_digit(*at); ++at) {
            has_digits = true;
            if (decimal.digits < most) {
                decimal.digits = 10 * decimal.digits + static_cast<u64>(*at - '0');
                decimal.power -= is_fraction;
            } else {
                decimal.is_cut |= *at != '0';
                decimal.power += !is_fraction;
            }
        }
    };
    read_digits(false);
    if (at < end && *at == '.') {
        ++at;
        read_digits(true);
    }
    if (!has_digits) return nullptr;
    if (at < end && (*at == 'e' || *at == 'E')) {
        const char* mark = at + 1;
        const bool is_below = mark < end && *mark == '-';
        if (mark < end && (*mark == '-' || *mark == '+')) ++mark;
        if (mark < end && is_digit(*mark)) {
            constexpr i64 most = 100'000;
            i64 exponent = 0;
            for (at = mark; at < end && is_digit(*at); ++at)
                exponent = std::min(most, 10 * exponent + (*at - '0'));
            decimal.power += is_below ? -exponent : exponent;
        }
    }
    if (quickly(decimal, number))
        *number = is_negative ? -*number : *number;
    else
        *number = slowly<T>(text, at);
    return at;
}

char* write_number(float number, char* out) {
    return shortest(number, out);
}
char* write_number(double number, char* out) {
    return shortest(number, out);
}

template const char* read_number(const char*, const char*, float*);
template const char* read_number(const char*, const char*, double*);

}  // namespace pyembed
