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

// Rounded: a product with one is off by a last place at the most.
constexpr double fractions[] = {1e-0,  1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,  1e-7,
                                1e-8,  1e-9,  1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15,
                                1e-16, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22};

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

// Digits at a time that need no branch each. Only where the lowest byte of a number is the first in memory.
#if defined(_MSC_VER) || (defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
constexpr bool has_wide_digits = true;
#else
constexpr bool has_wide_digits = false;
#endif
constexpr i64 wide = 8;
constexpr u64 powers_of_ten[] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};

int lowest_byte_set(u64 mask) {
#if defined(_MSC_VER) && !defined(__clang__)
    int byte = 0;
    while ((mask >> (8 * byte) & 0xFF) == 0) ++byte;
    return byte;
#else
    return __builtin_ctzll(mask) / 8;
#endif
}

// How many of the next 8 characters are digits before one is none, and their number.
int read_wide(const char* at, u64* number) {
    u64 text;
    std::memcpy(&text, at, sizeof(text));
    u64 digits = text - 0x3030303030303030;
    const u64 others = ((text + 0x4646464646464646) | digits) & 0x8080808080808080;
    const int count = others == 0 ? static_cast<int>(wide) : lowest_byte_set(others);
    if (count == 0) return 0;
    digits <<= 8 * (wide - count);  // behind zeros
    digits = digits * 10 + (digits >> 8);
    constexpr u64 pairs = 0x000000FF000000FF;
    *number = ((digits & pairs) * 0x000F424000000064 + (digits >> 16 & pairs) * 0x0000271000000001) >> 32;
    return count;
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
        value *= fractions[first];
        if (-decimal.power > first) value *= fractions[-decimal.power - first];
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

// d.ddd… · 10^exponent
struct Scientific {
    bool is_negative;
    int count;
    int exponent;
    char digits[longest_number];
};

char* put_integer(int value, char* out) {
    if (value < 0) *out++ = '-';
    unsigned left = static_cast<unsigned>(std::abs(value));
    char reversed[8];
    int count = 0;
    do reversed[count++] = static_cast<char>('0' + left % 10);
    while ((left /= 10) > 0);
    while (count > 0) *out++ = reversed[--count];
    return out;
}

// As Python's repr has it, but for a short exponent.
char* put(const Scientific& number, char* out) {
    int count = number.count;
    while (count > 1 && number.digits[count - 1] == '0') --count;
    const auto put_digits = [&](int from, int to) {
        for (int i = from; i < to; ++i) *out++ = i < count ? number.digits[i] : '0';
    };
    const int exponent = number.exponent;
    if (number.is_negative) *out++ = '-';
    if (exponent < -5 || exponent > 15) {
        put_digits(0, 1);
        if (count > 1) *out++ = '.';
        put_digits(1, count);
        *out++ = 'e';
        return put_integer(exponent, out);
    }
    if (exponent >= 0) {
        put_digits(0, exponent + 1);
        *out++ = '.';
        put_digits(exponent + 1, std::max(count, exponent + 2));
        return out;
    }
    *out++ = '0';
    *out++ = '.';
    for (int zero = exponent + 1; zero < 0; ++zero) *out++ = '0';
    put_digits(0, count);
    return out;
}

// value · 10^shift
double scaled(double value, int shift) {
    for (int left = std::abs(shift); left > 0; left -= static_cast<int>(largest_power)) {
        const double power = powers[std::min<i64>(left, largest_power)];
        value = shift > 0 ? value * power : value / power;
    }
    return value;
}

// Rounded to `digits` digits, for floats: a double has digits enough to scale in. Hardly ever not the
// nearest: who calls it reads it again.
Scientific rounded(float number, int digits) {
    const double value = std::fabs(static_cast<double>(number));
    Scientific made{number < 0, digits, static_cast<int>(std::floor(std::log10(value))), {}};
    u64 limit = 1;
    for (int i = 0; i < digits; ++i) limit *= 10;
    const auto at = [&](int exponent) {
        return static_cast<u64>(std::llround(scaled(value, digits - 1 - exponent)));
    };
    u64 whole = at(made.exponent);
    if (whole >= limit) whole = at(++made.exponent);
    if (whole < limit / 10) whole = at(--made.exponent);
    for (int i = digits; i-- > 0; whole /= 10) made.digits[i] = static_cast<char>('0' + whole % 10);
    return made;
}

// The C library's, whatever stands between its first digit and the second.
Scientific rounded(double number, int digits) {
    char text[longest_number];
    std::snprintf(text, sizeof(text), "%.*e", digits - 1, number);
    const char* const e = std::strchr(text, 'e');
    Scientific made{number < 0, 0, std::atoi(e + 1), {}};
    for (const char* c = text; c < e; ++c)
        if (is_digit(*c)) made.digits[made.count++] = *c;
    return made;
}

template <class T>
char* shortest(T number, char* out) {
    if (number == T{}) {
        if (std::signbit(number)) *out++ = '-';
        std::memcpy(out, "0.0", 3);
        return out + 3;
    }
    // Numbers near zero may have fewer digits than others.
    const bool is_normal = std::fabs(number) >= std::numeric_limits<T>::min();
    for (int digits = is_normal ? least_digits<T> : 1; digits <= most_digits<T>; ++digits) {
        char* const stop = put(rounded(number, digits), out);
        T again;
        read_number(out, stop, &again);
        if (again == number) return stop;
    }
    return put(rounded(static_cast<double>(number), most_digits<T>), out);
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
        while (has_wide_digits && end - at >= wide && decimal.digits < most / powers_of_ten[wide]) {
            u64 more;
            const int count = read_wide(at, &more);
            if (count == 0) return;
            has_digits = true;
            decimal.digits = decimal.digits * powers_of_ten[count] + more;
            decimal.power -= is_fraction ? count : 0;
            at += count;
            if (count < wide) return;
        }
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
