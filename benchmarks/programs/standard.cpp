// What the compile time of twenty_lines.cpp is compared with.
#include <iostream>
#include <string>
#include <vector>

int main() {
  std::vector<std::string> words{"one", "two", "three"};
  std::string line;
  for (const auto& word : words) {
    if (!line.empty()) line += ", ";
    line += word;
  }
  std::vector<double> squares;
  for (int i = 0; i < 10; ++i) squares.push_back(i * i);
  double sum = 0;
  for (double square : squares) sum += square;
  std::cout << line << ": " << sum << "\n";
  return 0;
}
