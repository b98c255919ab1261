#include <doctest/doctest.h>

#include <limits>
#include <sstream>

#include "autodiff/tensor/creation.hpp"

// The expected texts are what NumPy 2.4 prints: print(numpy.array(...)).

using namespace wengert;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

void check(const Tensor& x, const char* expected) {
  const std::string text = to_string(x);
  CHECK(text == expected);
  std::ostringstream out;
  out << x;
  CHECK(out.str() == text);
}

Tensor view(const Tensor& x, const Shape& shape, const Strides& strides, std::int64_t offset = 0) {
  return Tensor::adopt(detail::new_view(x.impl(), shape, strides, offset));
}

Tensor reshaped(const Tensor& x, const Shape& shape) { return view(x, shape, contiguous_strides(shape)); }

}  // namespace

TEST_CASE("a 0-d tensor is written as a number, as short as it can be told from others") {
  check(full({}, 2.5), "2.5");
  check(full({}, 3.0), "3.0");
  check(full({}, -0.0), "-0.0");
  check(full({}, 0.1), "0.1");
  check(full({}, 0.1, DType::float64), "0.1");
  check(full({}, 1.0 / 3, DType::float64), "0.3333333333333333");
  check(full({}, 1.0 / 3), "0.33333334");
  check(full({}, 1e-4), "1e-04");
  check(full({}, 1e-4, DType::float64), "0.0001");
  check(full({}, 123456790.0), "1.2345679e+08");
  check(full({}, 1e15, DType::float64), "1000000000000000.0");
  check(full({}, 1e16, DType::float64), "1e+16");
  check(full({}, nan), "nan");
  check(full({}, -inf), "-inf");
  check(full({}, -7), "-7");
  check(full({}, true), "True");
  check(Tensor(), "an empty tensor");
}

TEST_CASE("columns are aligned on the point") {
  check(tensor({{0.1, -2.5, 30.0}, {1.0, 0.125, -0.0}}), R"([[ 0.1   -2.5   30.   ]
 [ 1.     0.125 -0.   ]])");
  check(tensor({1.0, 2.0, 3.0}), R"([1. 2. 3.])");
  check(tensor({0.1, 1.0 / 3, 2.0 / 3, 100.0}, DType::float64),
        R"([  0.1          0.33333333   0.66666667 100.        ])");
  check(tensor({0.1, 1.0 / 3, 2.0 / 3, 100.0}), R"([  0.1          0.33333334   0.6666667  100.        ])");
  check(tensor({0.999999999, 0.5}, DType::float64), R"([1.  0.5])");
}

TEST_CASE("exponents when numbers are large, small or far apart") {
  check(tensor({1e-5, 1.0, -123456.789}, DType::float64),
        R"([ 1.00000000e-05  1.00000000e+00 -1.23456789e+05])");
  check(tensor({1e6, 1.0}, DType::float64), R"([1.e+06 1.e+00])");
  check(tensor({1e8, 1.5e8}, DType::float64), R"([1.0e+08 1.5e+08])");
  check(tensor({99999999.0, 12345678.0}, DType::float64), R"([99999999. 12345678.])");
  check(tensor({1e6, 2e6}), R"([1.e+06 2.e+06])");
  check(tensor({999999.0, 1000.0}), R"([999999.   1000.])");
  check(tensor({1e-300, 1e300, 5.0}, DType::float64), R"([1.e-300 1.e+300 5.e+000])");
  check(tensor({0.1, 1234.5678, 1e-5}), R"([1.0000000e-01 1.2345677e+03 9.9999997e-06])");
  check(tensor({0.0, -0.0}), R"([ 0. -0.])");
}

TEST_CASE("nan and infinities") {
  check(tensor({nan, 1.5, inf}), R"([nan 1.5 inf])");
  check(tensor({nan, -inf}), R"([ nan -inf])");
  check(tensor({nan, 1e-10, -inf}), R"([   nan 1.e-10   -inf])");
  check(tensor({100.25, nan}), R"([100.25    nan])");
}

TEST_CASE("integers and bools") {
  check(tensor({{1, -20}, {300, 4}}), R"([[  1 -20]
 [300   4]])");
  check(tensor({{true, false}, {false, true}}), R"([[ True False]
 [False  True]])");
  check(tensor({std::numeric_limits<std::int64_t>::min(), std::int64_t{7}}),
        R"([-9223372036854775808                    7])");
}

TEST_CASE("empty tensors") {
  check(zeros({0}), R"([])");
  check(zeros({3, 0, 2}, DType::bool_), R"([])");
}

TEST_CASE("blocks are separated by empty lines") {
  check(reshaped(arange(12), {2, 1, 2, 3}), R"([[[[ 0  1  2]
   [ 3  4  5]]]


 [[[ 6  7  8]
   [ 9 10 11]]]])");
}

TEST_CASE("lines end at 75 columns") {
  check(arange(30), R"([ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
 24 25 26 27 28 29])");
  check(linspace(0, 1, 12, DType::float64),
        R"([0.         0.09090909 0.18181818 0.27272727 0.36363636 0.45454545
 0.54545455 0.63636364 0.72727273 0.81818182 0.90909091 1.        ])");
}

TEST_CASE("more than 1000 elements are shortened to their ends") {
  check(arange(1001), R"([   0    1    2 ...  998  999 1000])");
  check(reshaped(arange(2000), {40, 50}), R"([[   0    1    2 ...   47   48   49]
 [  50   51   52 ...   97   98   99]
 [ 100  101  102 ...  147  148  149]
 ...
 [1850 1851 1852 ... 1897 1898 1899]
 [1900 1901 1902 ... 1947 1948 1949]
 [1950 1951 1952 ... 1997 1998 1999]])");
  check(reshaped(arange(1500, DType::float32), {5, 300}),
        R"([[0.000e+00 1.000e+00 2.000e+00 ... 2.970e+02 2.980e+02 2.990e+02]
 [3.000e+02 3.010e+02 3.020e+02 ... 5.970e+02 5.980e+02 5.990e+02]
 [6.000e+02 6.010e+02 6.020e+02 ... 8.970e+02 8.980e+02 8.990e+02]
 [9.000e+02 9.010e+02 9.020e+02 ... 1.197e+03 1.198e+03 1.199e+03]
 [1.200e+03 1.201e+03 1.202e+03 ... 1.497e+03 1.498e+03 1.499e+03]])");
  check(reshaped(arange(1400), {7, 2, 10, 10}), R"([[[[   0    1    2 ...    7    8    9]
   [  10   11   12 ...   17   18   19]
   [  20   21   22 ...   27   28   29]
   ...
   [  70   71   72 ...   77   78   79]
   [  80   81   82 ...   87   88   89]
   [  90   91   92 ...   97   98   99]]

  [[ 100  101  102 ...  107  108  109]
   [ 110  111  112 ...  117  118  119]
   [ 120  121  122 ...  127  128  129]
   ...
   [ 170  171  172 ...  177  178  179]
   [ 180  181  182 ...  187  188  189]
   [ 190  191  192 ...  197  198  199]]]


 [[[ 200  201  202 ...  207  208  209]
   [ 210  211  212 ...  217  218  219]
   [ 220  221  222 ...  227  228  229]
   ...
   [ 270  271  272 ...  277  278  279]
   [ 280  281  282 ...  287  288  289]
   [ 290  291  292 ...  297  298  299]]

  [[ 300  301  302 ...  307  308  309]
   [ 310  311  312 ...  317  318  319]
   [ 320  321  322 ...  327  328  329]
   ...
   [ 370  371  372 ...  377  378  379]
   [ 380  381  382 ...  387  388  389]
   [ 390  391  392 ...  397  398  399]]]


 [[[ 400  401  402 ...  407  408  409]
   [ 410  411  412 ...  417  418  419]
   [ 420  421  422 ...  427  428  429]
   ...
   [ 470  471  472 ...  477  478  479]
   [ 480  481  482 ...  487  488  489]
   [ 490  491  492 ...  497  498  499]]

  [[ 500  501  502 ...  507  508  509]
   [ 510  511  512 ...  517  518  519]
   [ 520  521  522 ...  527  528  529]
   ...
   [ 570  571  572 ...  577  578  579]
   [ 580  581  582 ...  587  588  589]
   [ 590  591  592 ...  597  598  599]]]


 ...


 [[[ 800  801  802 ...  807  808  809]
   [ 810  811  812 ...  817  818  819]
   [ 820  821  822 ...  827  828  829]
   ...
   [ 870  871  872 ...  877  878  879]
   [ 880  881  882 ...  887  888  889]
   [ 890  891  892 ...  897  898  899]]

  [[ 900  901  902 ...  907  908  909]
   [ 910  911  912 ...  917  918  919]
   [ 920  921  922 ...  927  928  929]
   ...
   [ 970  971  972 ...  977  978  979]
   [ 980  981  982 ...  987  988  989]
   [ 990  991  992 ...  997  998  999]]]


 [[[1000 1001 1002 ... 1007 1008 1009]
   [1010 1011 1012 ... 1017 1018 1019]
   [1020 1021 1022 ... 1027 1028 1029]
   ...
   [1070 1071 1072 ... 1077 1078 1079]
   [1080 1081 1082 ... 1087 1088 1089]
   [1090 1091 1092 ... 1097 1098 1099]]

  [[1100 1101 1102 ... 1107 1108 1109]
   [1110 1111 1112 ... 1117 1118 1119]
   [1120 1121 1122 ... 1127 1128 1129]
   ...
   [1170 1171 1172 ... 1177 1178 1179]
   [1180 1181 1182 ... 1187 1188 1189]
   [1190 1191 1192 ... 1197 1198 1199]]]


 [[[1200 1201 1202 ... 1207 1208 1209]
   [1210 1211 1212 ... 1217 1218 1219]
   [1220 1221 1222 ... 1227 1228 1229]
   ...
   [1270 1271 1272 ... 1277 1278 1279]
   [1280 1281 1282 ... 1287 1288 1289]
   [1290 1291 1292 ... 1297 1298 1299]]

  [[1300 1301 1302 ... 1307 1308 1309]
   [1310 1311 1312 ... 1317 1318 1319]
   [1320 1321 1322 ... 1327 1328 1329]
   ...
   [1370 1371 1372 ... 1377 1378 1379]
   [1380 1381 1382 ... 1387 1388 1389]
   [1390 1391 1392 ... 1397 1398 1399]]]])");
}

TEST_CASE("views show their own elements") {
  const Tensor x = arange(12);
  check(view(x, {3, 4}, Strides{1, 3}), R"([[ 0  3  6  9]
 [ 1  4  7 10]
 [ 2  5  8 11]])");
  check(view(x, {4}, Strides{-2}, 11), "[11  9  7  5]");
  check(view(x, {2, 3}, Strides{0, 1}), R"([[0 1 2]
 [0 1 2]])");
  check(view(x, {1200}, Strides{0}, 5), "[5 5 5 ... 5 5 5]");
}
